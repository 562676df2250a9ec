"""Features of an OCR reading: its text by zone, its layout in numbers, and phrases typical of screens."""

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from experts.screen_text.pixels import pixel_names
from experts.screen_text.reader import Box, Reading

Array = NDArray[np.float64]

ZONES = ("all", "title", "bottom", "large", "middle")
"""Parts of a screen whose text is vectorised separately; ``all`` is the whole screen."""

_TITLE = (0.03, 0.13)
_BOTTOM = 0.88
_MIDDLE = (0.35, 0.65)
_LARGE = 1.35
"""A line counts as large above this many times the median line height."""

# \uff1a and \uffe5 are the full-width colon and yen sign.
# The kind of a number says more than its value: times, prices, order numbers and counts each become one mark.
_MARKS = (
    (re.compile(r"\d+[:\uff1a]\d+(?:[:\uff1a]\d+)?"), "时"),
    (re.compile(r"[¥\uffe5]\s*\d+(?:\.\d+)?"), "价"),
    (re.compile(r"\d{8,}"), "号"),
    (re.compile(r"\d+(?:\.\d+)?"), "0"),
)
_COUNTED = {
    "times": re.compile(r"\d{1,2}[:\uff1a]\d\d"),
    "dates": re.compile(r"20\d\d[-./年]\d"),
    "long numbers": re.compile(r"\d{10,}"),
    "coupons": re.compile(r"券"),
    "multiplied": re.compile(r"[xX×]\d"),
}
_PRICE = re.compile(r"[¥\uffe5]\s*\d|\d+\.\d\d\b")
_N_ROWS, _N_COLUMNS = 8, 4


def normalise(text: str) -> str:
    """Lower case, numbers replaced by a mark of their kind."""
    text = text.lower()
    for pattern, mark in _MARKS:
        text = pattern.sub(mark, text)
    return text


def zone_texts(reading: Reading) -> dict[str, str]:
    """Normalised text of each zone, lines joined by a space."""
    median = _median_height(reading.boxes)
    lines: dict[str, list[str]] = {zone: [] for zone in ZONES}
    for box in reading.boxes:
        text = normalise(box.text)
        lines["all"].append(text)
        if _TITLE[0] < box.y < _TITLE[1]:
            lines["title"].append(text)
        if box.y > _BOTTOM:
            lines["bottom"].append(text)
        if box.height > _LARGE * median and len(text) > 1:
            lines["large"].append(text)
        if _MIDDLE[0] < box.y < _MIDDLE[1]:
            lines["middle"].append(text)
    return {zone: " ".join(texts) for zone, texts in lines.items()}


def layout_names() -> tuple[str, ...]:
    """Names of ``layout``'s numbers, in order."""
    lines = ("lines", "characters", "text area", "tallest", "median height", "heights vary", "mean width",
             "mean score", "worst score", "mean length", "longest line")  # fmt: skip
    grid = [f"row {row}" for row in range(_N_ROWS)] + [f"column {column}" for column in range(_N_COLUMNS)]
    rest = ("prices", "price height", "largest price", *_COUNTED, "single digits", "tallest line's rank",
            "tallest line's y", "largest gap", "last y", "Latin share", "digit share")  # fmt: skip
    return (*lines, *grid, *rest, *pixel_names())


def layout(reading: Reading) -> Array:
    """Layout and pixels in numbers, shape (len(layout_names()),); a screen without text has zeros."""
    return np.array([*_text_layout(reading.boxes), *reading.pixels])


def _text_layout(boxes: Sequence[Box]) -> list[float]:
    n_names = len(layout_names()) - len(pixel_names())
    if not boxes:
        return [0.0] * n_names
    corners = np.array([(box.x0, box.y0, box.x1, box.y1) for box in boxes])
    heights, widths = corners[:, 3] - corners[:, 1], corners[:, 2] - corners[:, 0]
    y, x = (corners[:, 1] + corners[:, 3]) / 2, (corners[:, 0] + corners[:, 2]) / 2
    lengths, scores = np.array([len(box.text) for box in boxes]), np.array([box.score for box in boxes])
    median, n = max(float(np.median(heights)), 1e-6), len(boxes)
    values = [n, lengths.sum(), (heights * widths).sum(), heights.max(), median, heights.std(), widths.mean()]
    values += [scores.mean(), scores.min(), lengths.mean(), lengths.max()]
    values += [*np.histogram(y, _N_ROWS, (0, 1))[0] / n, *np.histogram(x, _N_COLUMNS, (0, 1))[0] / n]
    priced = [index for index, box in enumerate(boxes) if _PRICE.search(box.text)]
    values += [len(priced), y[priced].mean(), heights[priced].max() / median] if priced else [0, -1, 0]
    text = " ".join(box.text for box in boxes)
    values += [len(pattern.findall(text)) for pattern in _COUNTED.values()]
    values += [sum(box.text.strip() in {"1", "2", "3", "+", "-"} for box in boxes)]
    gap = np.diff(np.sort(y)).max() if n > 1 else 1.0
    values += [heights.argmax() / n, y[heights.argmax()], gap, corners[:, 3].max()]
    latin = sum(character.isascii() and character.isalpha() for character in text)
    values += [latin / len(text), sum(character.isdigit() for character in text) / len(text)]
    return [float(value) for value in values]


@lru_cache
def phrase_groups() -> dict[str, tuple[int, ...]]:
    """The groups of ``phrases.json``: per group the indices of its phrases in ``phrases()``."""
    indices = {phrase: index for index, phrase in enumerate(phrases())}
    return {name: tuple(indices[phrase] for phrase in dict.fromkeys(group)) for name, group in _groups().items()}


@lru_cache
def phrases() -> tuple[str, ...]:
    """The phrases of ``phrases.json``, each once."""
    return tuple(dict.fromkeys(phrase for group in _groups().values() for phrase in group))


@lru_cache
def _groups() -> dict[str, list[str]]:
    body = json.loads(Path(__file__).with_name("phrases.json").read_text(encoding="utf-8"))
    groups: dict[str, list[str]] = body["groups"]
    return groups


def group_features(found: Array) -> Array:
    """The result of ``phrase_features``, (3, len(phrases())), aggregated by group: shape (3, len(phrase_groups())).

    Row 0: the sum of the shares of lines that the group's phrases fill. Row 1: the number of its phrases that
    occur, divided by the root of the group's size. Row 2: the largest prominence times share of the line.
    """
    share, count, prominence = found
    return np.array(
        [
            [share[list(indices)].sum() for indices in phrase_groups().values()],
            [(count[list(indices)] > 0).sum() / np.sqrt(len(indices)) for indices in phrase_groups().values()],
            [(prominence * share)[list(indices)].max() for indices in phrase_groups().values()],
        ]
    )


def phrase_features(reading: Reading) -> Array:
    """Shape (3, len(phrases())): the largest share of a line that the phrase fills (0 to 1), the number of
    lines that hold it (at most 5), and the largest prominence of these lines (0 to 2.2)."""
    median = _median_height(reading.boxes)
    values = np.zeros((3, len(phrases())))
    for box in reading.boxes:
        prominence = _prominence(box, median)
        for index, phrase in enumerate(phrases()):
            if phrase in box.text:
                values[0, index] = max(values[0, index], len(phrase) / len(box.text))
                values[1, index] = min(values[1, index] + 1, 5)
                values[2, index] = max(values[2, index], prominence)
    return values


def _prominence(box: Box, median: float) -> float:
    """1 in the title bar, 0.7 at the bottom, 0.5 more where the letters are large."""
    in_title, at_bottom = _TITLE[0] < box.y < _TITLE[1], box.y > _BOTTOM
    return 1.0 * in_title + 0.7 * at_bottom + 0.5 * (box.height > _LARGE * median)


def _median_height(boxes: Sequence[Box]) -> float:
    return float(np.median([box.height for box in boxes])) if boxes else 0.0
