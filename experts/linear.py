"""Which columns of a linear model decided, in words."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Attributions = list[tuple[str, float]]
"""Words with what each adds to a label's logit, the strongest first."""

_KIND = re.compile(r"^(?:about )?\S+:(?: |$)|^(?:layout|phrase|count|place) ")
"""What stands before the words in a column's name; a blank's name ends with it."""


def deciding_words(model: Any, label: int, inputs: "csr_matrix", names: Sequence[str], n: int) -> Attributions:
    """The n columns of one row of input that speak most for a label; empty for a label that was not learnt.

    ``inputs`` has shape (1, len(names)).
    """
    coefficients = _coefficients(model, label)
    if coefficients is None:
        return []
    values = inputs.tocoo()
    added = [
        (names[column].strip(), float(value * coefficients[column]))
        for column, value in zip(values.col, values.data, strict=True)
    ]
    return _strongest(added, n)


def typical_words(model: Any, label: int, names: Sequence[str], n: int) -> Attributions:
    """The n of the first ``len(names)`` columns with the largest coefficients for a label."""
    coefficients = _coefficients(model, label)
    if coefficients is None:
        return []
    return _strongest([(name.strip(), float(value)) for name, value in zip(names, coefficients, strict=False)], n)


def _coefficients(model: Any, label: int) -> NDArray[np.float64] | None:
    """What each column adds to the label's logit; None for a label that was not learnt."""
    if label not in model.classes_:
        return None
    row = int(np.flatnonzero(model.classes_ == label)[0])
    if len(model.classes_) == 2:  # scikit-learn keeps the second class's coefficients only
        return np.ravel(model.coef_) * (1 if row else -1)
    return np.asarray(model.coef_[row])


def _strongest(added: Attributions, n: int) -> Attributions:
    """The first n whose words are not a part of words that rank higher; single characters are left out."""
    kept: Attributions = []
    for name, value in sorted(added, key=lambda pair: -pair[1]):
        words = _KIND.sub("", name)
        if value > 0 and len(words) > 1 and not any(words in other for other, _ in kept):
            kept.append((name, value))
        if len(kept) == n:
            break
    return kept
