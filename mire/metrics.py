"""Scores as the official script computes them, and their bootstrap intervals."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mire.labels import TASKS

N_RESAMPLES = 2000
CONFIDENCE = 0.95
_NUMBERS_AT_ONCE = 100_000
"""In memory while resamples are scored: answers, or cells of their confusion matrices."""


Metric = Callable[[Sequence[str], Sequence[str]], float]
"""Takes the true labels and the predicted ones, equally many, and gives a number in [0, 1]."""


def _averaged(figure: int, average: Literal["weighted", "macro"]) -> Metric:
    """scikit-learn's precision (0), recall (1) or F1 (2) of every label, averaged."""

    def metric(truth: Sequence[str], predicted: Sequence[str]) -> float:
        from sklearn.metrics import precision_recall_fscore_support

        return float(precision_recall_fscore_support(truth, predicted, average=average, zero_division=0.0)[figure])

    return metric


def accuracy(truth: Sequence[str], predicted: Sequence[str]) -> float:
    """The share of answers that are right."""
    return sum(true == guess for true, guess in zip(truth, predicted, strict=True)) / len(truth)


METRICS: dict[str, Metric] = {
    "f1": _averaged(2, "weighted"),
    "macro_f1": _averaged(2, "macro"),
    "accuracy": accuracy,
    "precision": _averaged(0, "weighted"),
    "recall": _averaged(1, "weighted"),
}
"""What ``ensemble.score`` prints and ``ensemble.ablate`` writes, by name; weighted as the challenge's script does."""


@dataclass(frozen=True)
class Scores:
    """Every metric of n answers, by its name in ``METRICS``."""

    n: int
    figures: Mapping[str, float]

    @property
    def f1(self) -> float:
        """Weighted by the labels' samples."""
        return self.figures["f1"]

    @property
    def accuracy(self) -> float:
        return self.figures["accuracy"]


@dataclass(frozen=True)
class Interval:
    """Bounds of a 95% interval: the bootstrap's percentiles, or Wilson's."""

    low: float
    high: float


def scores(truth: Sequence[str], predicted: Sequence[str]) -> Scores:
    """Every metric on label strings.

    Raises:
        ValueError: the lengths differ or are zero.
    """
    if len(truth) != len(predicted) or not truth:
        raise ValueError(
            f"truth and prediction must be equally long and not empty, got {len(truth)} and {len(predicted)}"
        )
    return Scores(len(truth), {name: metric(truth, predicted) for name, metric in METRICS.items()})


def resampled_f1(truth: Sequence[str], predicted: Sequence[str], *, seed: int = 0) -> NDArray[np.float64]:
    """Weighted F1 of ``N_RESAMPLES`` bootstrap resamples of the samples; shape (N_RESAMPLES,)."""
    names = sorted({*truth, *predicted})
    row, n, n_labels = {name: index for index, name in enumerate(names)}, len(truth), len(names)
    cells = np.array([row[true] * n_labels + row[guess] for true, guess in zip(truth, predicted, strict=True)])
    rng = np.random.default_rng(seed)
    n_at_once = max(1, _NUMBERS_AT_ONCE // max(n, n_labels**2))
    sizes = (min(n_at_once, N_RESAMPLES - start) for start in range(0, N_RESAMPLES, n_at_once))
    return np.concatenate([_weighted_f1(cells[rng.integers(0, n, size=(size, n))], n_labels) for size in sizes])


def interval(resamples: NDArray[np.float64], confidence: float = CONFIDENCE) -> Interval:
    """Percentile interval of resampled figures, shape (N_RESAMPLES,)."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(resamples, [tail, 1 - tail])
    return Interval(float(low), float(high))


def wilson(right: float, n: int) -> Interval:
    """Wilson's 95 % interval (1927) of the share ``right / n``: unlike a bootstrap's it has width at 0 and 1 too."""
    z2 = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) ** 2
    middle = (right + z2 / 2) / (n + z2)
    half = sqrt(z2 * (right * (n - right) / n + z2 / 4)) / (n + z2)
    return Interval(max(middle - half, 0.0), min(middle + half, 1.0))


def mean_f1(by_task: Mapping[str, float]) -> float | None:
    """The challenge's headline figure: the mean of both tasks' weighted F1; None if one is missing."""
    return sum(by_task[task] for task in TASKS) / len(TASKS) if all(task in by_task for task in TASKS) else None


def _weighted_f1(cells: NDArray[np.int64], n_labels: int) -> NDArray[np.float64]:
    """The F1 of every row of answers (rows, n), each a cell of the confusion matrix (true x n_labels + guess).

    The sum over labels of support x F1, by the number of samples; F1 = 2 TP / (support + guessed).
    """
    n_rows, n = cells.shape
    starts = n_labels**2 * np.arange(n_rows)[:, None]
    confusion = np.bincount((starts + cells).ravel(), minlength=n_rows * n_labels**2).reshape(n_rows, n_labels, -1)
    support, hits = confusion.sum(axis=2), confusion.diagonal(axis1=1, axis2=2)
    both = support + confusion.sum(axis=1)
    f1 = np.divide(2 * hits, both, out=np.zeros(both.shape), where=both > 0)
    return np.asarray((f1 * support).sum(axis=1) / n)
