"""Whether probabilities can be believed: reliability, expected calibration error, coverage against accuracy."""

import numpy as np
from numpy.typing import NDArray

from ensemble.report.ablation_result import Bin, ErrorByChance
from ensemble.voting.pooling import Array, winners

N_BINS = 10
N_SIMULATIONS = 200
COVERAGES = tuple(round(0.1 * step, 1) for step in range(1, 11))


def reliability(probabilities: Array, truth: NDArray[np.int64]) -> list[Bin]:
    """Answers by their confidence, the winner's probability, in ``N_BINS`` bins of equal width; empty ones left out."""
    confidence = probabilities.max(axis=1)
    right = winners(probabilities) == truth
    bins = np.clip(np.ceil(confidence * N_BINS).astype(int) - 1, 0, N_BINS - 1)
    return [
        Bin(
            low=index / N_BINS,
            high=(index + 1) / N_BINS,
            n=int((bins == index).sum()),
            confidence=float(confidence[bins == index].mean()),
            accuracy=float(right[bins == index].mean()),
        )
        for index in np.unique(bins).tolist()
    ]


def calibration_error(bins: list[Bin]) -> float:
    """Expected calibration error: the mean gap of confidence and accuracy, weighed by the bins' answers.

    https://arxiv.org/abs/1706.04599, equation 3.
    """
    total = sum(part.n for part in bins)
    return sum(part.n * abs(part.confidence - part.accuracy) for part in bins) / total


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
    return ErrorByChance(mean=float(np.mean(errors)), high=float(np.quantile(errors, 0.95)))


def coverage(probabilities: Array, truth: NDArray[np.int64]) -> list[tuple[float, float]]:
    """Pairs (share of samples that is answered, accuracy on them), the most confident answers first."""
    order = np.argsort(-probabilities.max(axis=1), kind="stable")
    right = (winners(probabilities) == truth)[order]
    return [(share, float(right[: max(1, round(share * len(right)))].mean())) for share in COVERAGES]
