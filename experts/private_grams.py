"""Drop n-grams that occur in one sample only from a trained model: they would tell what one customer wrote."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Fitted = dict[str, Any]
"""A TF-IDF vectorizer for each part of a text, by the part's name."""


def forget_private_grams(
    linear: Any, fitted: Fitted, own: Mapping[str, Sequence[str]], public: Mapping[str, Sequence[str]]
) -> Fitted:
    """Drop the n-grams that one of ``own``'s texts and none of ``public``'s holds; single characters stay.

    ``linear``'s first columns are the n-grams, part by part, and are reduced in place; gives the reduced vectorizers,
    without those that nothing is left of. Dropping n-grams after the fit lowers F1 by 0.001, before it by 0.017
    (docs/RESULTS-APPENDIX.md).
    """
    stays = {name: _shared(vectorizer, own[name], public[name]) for name, vectorizer in fitted.items()}
    n_others = linear.coef_.shape[-1] - sum(map(len, stays.values()))
    kept = np.concatenate([*stays.values(), np.full(n_others, True)])
    linear.coef_, linear.n_features_in_ = linear.coef_[..., kept], int(kept.sum())
    return {name: _reduced(fitted[name], stays[name]) for name in fitted if stays[name].any()}


def _shared(vectorizer: Any, own: Sequence[str], public: Sequence[str]) -> NDArray[np.bool_]:
    """Which n-grams are one character, in two of the own texts, or in a public one; shape (n_grams,)."""
    pieces = vectorizer.build_analyzer()
    n_texts = Counter(piece for text in own for piece in set(pieces(text)))
    known = {piece for text in public for piece in pieces(text)}
    names = vectorizer.get_feature_names_out()
    return np.array([len(piece) == 1 or n_texts[piece] > 1 or piece in known for piece in names])


def _reduced(vectorizer: Any, stays: NDArray[np.bool_]) -> Any:
    """The vectorizer with some of its n-grams, which keep their weights."""
    from sklearn.base import clone

    made = clone(vectorizer).set_params(vocabulary=vectorizer.get_feature_names_out()[stays].tolist())
    made.idf_ = vectorizer.idf_[stays]
    return made
