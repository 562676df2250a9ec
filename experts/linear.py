"""Explain a linear model: the words whose columns contribute most to a label."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Attributions = list[tuple[str, float]]
"""Words with their contribution to a label's logit, largest first."""

_KIND = re.compile(r"^(?:about )?\S+:(?: |$)|^(?:layout|phrase|count|place) ")
"""The prefix of a column's name before its words; the name of a column for a blank is the prefix alone."""


def bare_words(name: str) -> str:
    """A column's words without the prefix that says what kind of column it is."""
    return _KIND.sub("", name)


def deciding_words(model: Any, label: int, inputs: "csr_matrix", names: Sequence[str], n: int) -> Attributions:
    """The n columns of one input row that contribute most to a label; empty for a label without training samples.

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


def piece_names(vectorizers: Mapping[str, Any], unnamed: str) -> list[str]:
    """A name for each n-gram's column: the part of the text that it comes from, unless that is ``unnamed``, and it."""
    return [
        piece if part == unnamed else f"{part}: {piece}"
        for part, vectorizer in vectorizers.items()
        for piece in vectorizer.get_feature_names_out()
    ]


def _coefficients(model: Any, label: int) -> NDArray[np.float64] | None:
    """The label's coefficient per column; None for a label without training samples."""
    if label not in model.classes_:
        return None
    row = int(np.flatnonzero(model.classes_ == label)[0])
    if len(model.classes_) == 2:  # scikit-learn keeps the second class's coefficients only
        return np.ravel(model.coef_) * (1 if row else -1)
    return np.asarray(model.coef_[row])


def _strongest(added: Attributions, n: int) -> Attributions:
    """The n largest, without single characters and without words contained in words that rank higher."""
    kept: Attributions = []
    for name, value in sorted(added, key=lambda pair: -pair[1]):
        words = bare_words(name)
        if value > 0 and len(words) > 1 and not any(words in other for other, _ in kept):
            kept.append((name, value))
        if len(kept) == n:
            break
    return kept
