"""Scores as the official script computes them, and their bootstrap intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mire.labels import TASKS

N_RESAMPLES = 2000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Scores:
    """Weighted F1, precision and recall, macro F1 and accuracy of n answers; all but n in [0, 1]."""

    n: int
    f1: float
    macro_f1: float
    accuracy: float
    precision: float
    recall: float


@dataclass(frozen=True)
class Interval:
    """Bounds of a 95% bootstrap percentile interval."""

    low: float
    high: float


def scores(truth: Sequence[str], predicted: Sequence[str]) -> Scores:
    """scikit-learn's weighted scores on label strings, as the challenge's script takes them.

    Raises:
        ValueError: the lengths differ or are zero.
    """
    from sklearn.metrics import accuracy_score, f1_score, precision_recall_fscore_support

    if len(truth) != len(predicted) or not truth:
        raise ValueError(
            f"truth and prediction must be equally long and not empty, got {len(truth)} and {len(predicted)}"
        )
    precision, recall, f1, _ = precision_recall_fscore_support(truth, predicted, average="weighted", zero_division=0.0)
    return Scores(
        n=len(truth),
        f1=float(f1),
        macro_f1=float(f1_score(truth, predicted, average="macro", zero_division=0.0)),
        accuracy=float(accuracy_score(truth, predicted)),
        precision=float(precision),
        recall=float(recall),
    )


def resampled_f1(truth: Sequence[str], predicted: Sequence[str], *, seed: int = 0) -> NDArray[np.float64]:
    """Weighted F1 of ``N_RESAMPLES`` bootstrap resamples of the samples; shape (N_RESAMPLES,)."""
    names = sorted({*truth, *predicted})
    place = {name: index for index, name in enumerate(names)}
    true = np.array([place[name] for name in truth])
    guess = np.array([place[name] for name in predicted])
    rng = np.random.default_rng(seed)
    draws = rng.integers(0, len(true), size=(N_RESAMPLES, len(true)))
    return np.array([_weighted_f1(true[draw], guess[draw], len(names)) for draw in draws])


def interval(resamples: NDArray[np.float64]) -> Interval:
    """Percentile interval of resampled figures, shape (N_RESAMPLES,)."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(resamples, [tail, 1 - tail])
    return Interval(float(low), float(high))


def mean_f1(by_task: Mapping[str, float]) -> float | None:
    """The challenge's headline figure: the mean of both tasks' weighted F1; None if one is missing."""
    return sum(by_task[task] for task in TASKS) / len(TASKS) if all(task in by_task for task in TASKS) else None


def _weighted_f1(true: NDArray[np.int64], guess: NDArray[np.int64], n_labels: int) -> float:
    """Sum over labels of support x F1, divided by the number of samples; F1 = 2 TP / (support + guessed)."""
    support = np.bincount(true, minlength=n_labels)
    guessed = np.bincount(guess, minlength=n_labels)
    hits = np.bincount(true[true == guess], minlength=n_labels)
    both = support + guessed
    f1 = np.divide(2 * hits, both, out=np.zeros(n_labels), where=both > 0)
    return float((f1 * support).sum() / len(true))
