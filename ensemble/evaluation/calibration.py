"""Whether probabilities can be believed: reliability, expected calibration error, coverage against accuracy."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ensemble.vote import Array, winners

N_BINS = 10
N_SIMULATIONS = 200
COVERAGES = tuple(round(0.1 * step, 1) for step in range(1, 11))


@dataclass(frozen=True)
class Bin:
    """Answers whose confidence lies in (low, high]: how many, their mean confidence, and the share that is right."""

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


def reliability(probabilities: Array, truth: NDArray[np.int64]) -> list[Bin]:
    """Answers by their confidence, the winner's probability, in ``N_BINS`` bins of equal width; empty ones left out."""
    confidence = probabilities.max(axis=1)
    right = winners(probabilities) == truth
    places = np.clip(np.ceil(confidence * N_BINS).astype(int) - 1, 0, N_BINS - 1)
    return [
        Bin(
            low=place / N_BINS,
            high=(place + 1) / N_BINS,
            n=int((places == place).sum()),
            confidence=float(confidence[places == place].mean()),
            accuracy=float(right[places == place].mean()),
        )
        for place in np.unique(places).tolist()
    ]


def calibration_error(bins: list[Bin]) -> float:
    """Expected calibration error: the mean gap of confidence and accuracy, weighed by the bins' answers.

    https://arxiv.org/abs/1706.04599, equation 3.
    """
    total = sum(part.n for part in bins)
    return sum(part.n * abs(part.confidence - part.accuracy) for part in bins) / total


@dataclass(frozen=True)
class ErrorByChance:
    """The calibration error that a perfectly calibrated panel would show on as many answers: mean and 95 % quantile."""

    mean: float
    high: float


def error_by_chance(probabilities: Array, *, seed: int = 0) -> ErrorByChance:
    """Simulated: each answer is right with the winner's probability, ``N_SIMULATIONS`` times over.

    An error below ``high`` is no evidence against the panel's calibration: few answers in a bin are never exactly as
    often right as they claim.
    """
    confidence = probabilities.max(axis=1)
    rng = np.random.default_rng(seed)
    guessed = winners(probabilities)
    errors = [
        calibration_error(reliability(probabilities, np.where(right, guessed, -1)))
        for right in rng.random((N_SIMULATIONS, len(confidence))) < confidence
    ]
    return ErrorByChance(float(np.mean(errors)), float(np.quantile(errors, 0.95)))


def coverage(probabilities: Array, truth: NDArray[np.int64]) -> list[tuple[float, float]]:
    """Pairs (share of samples that is answered, accuracy on them), the surest answers first."""
    order = np.argsort(-probabilities.max(axis=1), kind="stable")
    right = (winners(probabilities) == truth)[order]
    return [(share, float(right[: max(1, round(share * len(right)))].mean())) for share in COVERAGES]
