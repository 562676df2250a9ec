"""Compare estimators of the vote on drawn pairs of voters: log-loss, accuracy, how often the best voter alone is better.

    python -m scripts.benchmarks.vote_estimators [--draws 25]

Every pair is drawn at three sizes; weights are fitted on these few votes and judged on ``N_TEST`` others. Prints one
line per pair and size, then the means as one JSON line.
"""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from ensemble.voting import fitting
from ensemble.voting.oof_votes import OutOfFoldVotes
from ensemble.voting.pooling import softmax
from ensemble.voting.weights import VoterWeight, Weights
from mire.budget import Cost
from mire.cli import run

N_LABELS, N_TEST = 23, 1000
SIZES = (27, 62, 200)
MARGIN = 0.002
"""Accuracy by which the best voter must be ahead to count as better."""
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Pair:
    """Two voters: how far the right label's logit stands out, how sharp each one's probabilities are.

    ``shared`` (0 to 1) is the part of the noise that both see. ``nested``: the second voter sees what the first one
    sees through more noise of this size, and so adds nothing.
    """

    name: str
    skill: tuple[float, float]
    sharpness: tuple[float, float] = (1.0, 1.0)
    shared: float = 0.0
    nested: float = 0.0

    def draw(self, rng: np.random.Generator, n: int) -> OutOfFoldVotes:
        """``n`` samples of ``N_LABELS`` labels with both voters' votes."""
        truth = rng.integers(0, N_LABELS, n)
        common, *own = rng.normal(size=(3, n, N_LABELS))
        right = np.eye(N_LABELS)[truth]
        logits = [
            skill * right + np.sqrt(self.shared) * common + np.sqrt(1 - self.shared) * noise
            for skill, noise in zip(self.skill, own, strict=True)
        ]
        if self.nested:
            logits[1] = logits[0] + self.nested * common
        votes = {name: softmax(s * each) for name, s, each in zip("ab", self.sharpness, logits, strict=True)}
        return OutOfFoldVotes(tuple(map(str, range(n))), truth, votes, dict.fromkeys(votes, Cost(1, 1)))


PAIRS = (
    Pair("nested, slightly noisier", (3.4, 0.0), nested=0.4),
    Pair("nested, noisier", (3.4, 0.0), nested=0.8),
    Pair("nested, much noisier", (3.4, 0.0), nested=1.5),
    Pair("nested, noisier, overconfident", (3.4, 0.0), (1, 3), nested=0.8),
    Pair("nested, weak", (2.2, 0.0), nested=0.8),
    Pair("equal, independent", (3.4, 3.4)),
    Pair("equal, related", (3.4, 3.4), shared=0.5),
    Pair("equal, overconfident", (3.4, 3.4), (3, 3), shared=0.3),
    Pair("strong and middling", (3.8, 3.0), shared=0.3),
    Pair("strong and weak", (3.8, 2.0), shared=0.3),
    Pair("strong and very weak", (3.8, 1.2)),
    Pair("strong, and weak but overconfident", (3.8, 2.0), (1, 4), shared=0.3),
    Pair("strong but modest, and weak", (3.8, 2.2), (0.3, 1), shared=0.3),
    Pair("both weak", (2.0, 1.6), shared=0.2),
    Pair("both strong", (4.6, 4.2), (2, 1), shared=0.4),
    Pair("very strong and middling", (5.0, 2.8), (1, 2), shared=0.2),
    Pair("near noise", (3.6, 0.3)),
)


def _with(standard_errors: float) -> Callable[[OutOfFoldVotes], Weights]:
    def fit(votes: OutOfFoldVotes) -> Weights:
        with patch.object(fitting, "TOWARDS_BEST", standard_errors):
            return fitting.fit_weights(votes, "log_linear")

    return fit


def _equal(votes: OutOfFoldVotes) -> Weights:
    return Weights(voters={name: VoterWeight() for name in votes.votes})


ESTIMATORS = {"equal": _equal, **{f"{each:g} s.e.": _with(each) for each in (0.0, 0.25, 0.5, 1.0)}}


def judged(weights: Weights, test: OutOfFoldVotes) -> tuple[float, float, float]:
    """Mean log-loss, accuracy, and 1 where one of the voters alone is better, else 0."""
    pooled, rows = weights.pool(test.votes), np.arange(len(test.truth))
    accuracy = float((pooled.argmax(1) == test.truth).mean())
    alone = max(float((vote.argmax(1) == test.truth).mean()) for vote in test.votes.values())
    return float(-np.log(pooled[rows, test.truth]).mean()), accuracy, float(alone > accuracy + MARGIN)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the benchmark's arguments."""
    parser.add_argument("--draws", type=int, default=25, help="of each pair at each size")


def execute(options: argparse.Namespace) -> None:
    """Print a line per pair and size, and the means."""
    print(f"{'pair':<36} {'n':>4} " + " ".join(f"{name:>20}" for name in ESTIMATORS))
    everything = []
    for pair in PAIRS:
        for n in SIZES:
            rngs = [np.random.default_rng(1000 * draw + n) for draw in range(options.draws)]
            sets = [(pair.draw(rng, n), pair.draw(rng, N_TEST)) for rng in rngs]
            means = [np.mean([judged(fit(few), test) for few, test in sets], axis=0) for fit in ESTIMATORS.values()]
            everything.append(means)
            cells = (f"{loss:7.3f} {accuracy:6.3f} {100 * worse:3.0f} %" for loss, accuracy, worse in means)
            print(f"{pair.name:<36} {n:>4} " + " ".join(f"{cell:>20}" for cell in cells), flush=True)
    overall = np.mean(everything, axis=0).round(4).tolist()
    print(json.dumps(dict(zip(ESTIMATORS, overall, strict=True))))


if __name__ == "__main__":
    raise SystemExit(run(sys.modules[__name__]))
