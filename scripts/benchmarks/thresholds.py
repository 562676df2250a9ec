"""Compare procedures that find thresholds on drawn answers: how many answers are decided, how often a promise is broken.

    python -m scripts.benchmarks.thresholds [--draws 400]

Answers have a probability, and are right with another one that a kind of miscalibration makes of it. One line per
size, target and procedure: the mean coverage over the kinds, and the largest share of broken promises among them.
"""

import argparse
import sys
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ensemble.decisions.thresholds import find_threshold
from mire.cli import run

ERROR = 0.05
SIZES, TARGETS = (212, 493, 2000), (0.9, 0.95)
KINDS = {
    "calibrated, 0.84 right": (2.6, 2.0, 1.0, 0.0),
    "calibrated, 0.90 right": (3.2, 1.8, 1.0, 0.0),
    "calibrated, 0.70 right": (1.2, 1.5, 1.0, 0.0),
    "overconfident": (3.2, 2.2, 0.65, 0.0),
    "modest": (1.6, 1.4, 1.4, 0.3),
    "overconfident at the top": (4.0, 3.0, 0.6, -0.4),
}
"""Of the answers' log odds: mean and standard deviation; then what the true log odds are: slope and intercept."""
Array = NDArray[np.float64]
Procedure = Callable[[Array, NDArray[np.bool_], float], float | None]


def from_the_surest(n_first: int) -> Procedure:
    """A fixed sequence that starts at the surest ``n_first`` answers and stops at the first failure."""

    def find(probability: Array, right: NDArray[np.bool_], target: float) -> float | None:
        order = np.argsort(-probability)
        passed = _p_values(right[order], target)[n_first - 1 :] <= ERROR
        n_passed = int(np.append(passed, False).argmin())
        return float(probability[order][n_first + n_passed - 2]) if n_passed else None

    return find


def bonferroni(probability: Array, right: NDArray[np.bool_], target: float, n_tests: int = 10) -> float | None:
    """Every tenth of the answers tested at a tenth of the error rate."""
    order = np.argsort(-probability)
    ends = np.linspace(0, len(right), n_tests + 1)[1:].astype(int) - 1
    passed = ends[_p_values(right[order], target)[ends] <= ERROR / n_tests]
    return float(probability[order][passed[-1]]) if len(passed) else None


def lowest_seen(probability: Array, right: NDArray[np.bool_], target: float) -> float | None:
    """No procedure at all: the lowest threshold above which enough answers were right."""
    order = np.argsort(-probability)
    enough = np.flatnonzero(np.cumsum(right[order]) / np.arange(1, len(right) + 1) >= target)
    return float(probability[order][enough[-1]]) if len(enough) else None


PROCEDURES: dict[str, Procedure] = {
    "ours": lambda probability, right, target: find_threshold(probability, right, precision=target).threshold,
    **{f"sequence from {n}": from_the_surest(n) for n in (60, 90, 120)},
    "Bonferroni, 10 tests": bonferroni,
    "the lowest seen": lowest_seen,
}


def _p_values(right: NDArray[np.bool_], target: float) -> Array:
    """Of the first 1, 2, ... answers: the chance of so many right ones if only ``target`` of them were."""
    from scipy.stats import binom

    return np.asarray(binom.sf(np.cumsum(right) - 1, np.arange(1, len(right) + 1), target))


def _draw(rng: np.random.Generator, kind: Sequence[float], n: int) -> tuple[Array, Array]:
    """Probabilities, and the true ones."""
    mean, spread, slope, intercept = kind
    odds = rng.normal(mean, spread, n)
    return 1 / (1 + np.exp(-odds)), 1 / (1 + np.exp(-slope * odds - intercept))


def judged(procedure: Procedure, kind: Sequence[float], n: int, target: float, n_draws: int) -> tuple[float, float]:
    """Mean coverage, and the share of draws in which the threshold's true precision is below the target."""
    everything, truth = _draw(np.random.default_rng(1), kind, 200_000)
    order = np.argsort(-everything)
    precision = np.cumsum(truth[order]) / np.arange(1, len(order) + 1)
    covered = broken = 0.0
    for seed in range(n_draws):
        rng = np.random.default_rng([seed, n])
        probability, chance = _draw(rng, kind, n)
        found = procedure(probability, rng.random(n) < chance, target)
        if found is not None:
            covered += float((probability >= found).mean())
            broken += precision[max(int((everything >= found).sum()) - 1, 0)] < target
    return covered / n_draws, broken / n_draws


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the benchmark's arguments."""
    parser.add_argument("--draws", type=int, default=400, help="of each kind at each size")


def execute(options: argparse.Namespace) -> None:
    """Print one line per size, target and procedure."""
    for n in SIZES:
        for target in TARGETS:
            for name, procedure in PROCEDURES.items():
                found = [judged(procedure, kind, n, target, options.draws) for kind in KINDS.values()]
                coverage, broken = np.mean(found, axis=0)[0], np.max(found, axis=0)[1]
                print(f"n {n:<5} {target:.2f}  {name:<22} coverage {coverage:.3f}, broken {broken:6.1%}", flush=True)


if __name__ == "__main__":
    raise SystemExit(run(sys.modules[__name__]))
