"""Text columns of the model: fitting the vectorizers, and naming columns for explanations."""

from collections.abc import Sequence
from typing import Any

from experts.screen_text.features import ZONES, Array, phrase_groups, phrases, zone_texts
from experts.screen_text.reader import Reading
from mire.settings import ScreenText

_MOST_SHOWN = 5
"""Phrases of a group that an explanation names."""


def fit_vectorizers(readings: Sequence[Reading], settings: ScreenText) -> dict[str, Any]:
    """Character n-grams of each zone; a zone without text in the training set is left out."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    zones = [zone_texts(reading) for reading in readings]
    fitted: dict[str, Any] = {}
    for zone in ZONES:
        grams = settings.grams if zone == "all" else settings.zone_grams
        vectorizer = TfidfVectorizer(analyzer="char", ngram_range=grams, min_df=settings.min_count, sublinear_tf=True)
        try:
            fitted[zone] = vectorizer.fit([texts[zone] for texts in zones])
        except ValueError:  # scikit-learn's answer to an empty vocabulary
            continue
    return fitted


def group_words(found: Array) -> list[str]:
    """Per phrase group its name and those of its phrases that a screen shows, longest first; empty if there is none.

    ``found`` is the screen's phrase features, flat: shape (3 * len(phrases()),).
    """
    shown = {index for index, share in enumerate(found[: len(phrases())]) if share > 0}
    words: list[str] = []
    for name, indices in phrase_groups().items():
        inside = sorted((phrases()[index] for index in indices if index in shown), key=len, reverse=True)
        words.append(f"about {name}: {', '.join(inside[:_MOST_SHOWN])}" if inside else "")
    return words
