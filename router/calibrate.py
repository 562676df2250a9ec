"""Choose the router's threshold by cross-validation on the classifier's phrases.

python -m router.calibrate
"""

import argparse
import sys

import numpy as np
from numpy.typing import NDArray

from mire.cli import run

N_FOLDS = 5
SEEDS = (0, 1, 2)
GRID = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
WANTED_ACCURACY = 0.99


def held_out() -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Confidence in [0.5, 1] of every held-out answer, and whether it was right; shape (n_phrases * n_seeds,) each."""
    # Imported here: scikit-learn takes a second, and --help does without it.
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    from router.classifier import phrases, untrained

    texts, tasks = phrases()
    truth = np.array([task == "dialogue" for task in tasks])
    runs = [
        cross_val_predict(
            untrained(),
            texts,
            truth,
            cv=StratifiedKFold(N_FOLDS, shuffle=True, random_state=seed),
            method="predict_proba",
        )[:, 1]
        for seed in SEEDS
    ]
    p_dialogue = np.concatenate(runs)
    right = (p_dialogue >= 0.5) == np.tile(truth, len(SEEDS))
    return np.maximum(p_dialogue, 1 - p_dialogue), right


def choose_threshold(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """The lowest threshold of ``GRID`` at which the answers above it reach ``WANTED_ACCURACY``; else the highest."""
    for threshold in GRID:
        sure = confidence >= threshold
        if sure.any() and right[sure].mean() >= WANTED_ACCURACY:
            return threshold
    return GRID[-1]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments: there are none."""


def execute(options: argparse.Namespace) -> None:
    """Print the share of confident answers and their accuracy at each threshold, and the choice."""
    confidence, right = held_out()
    print(f"n = {len(right)}, accuracy {right.mean():.3f}\nthreshold  share sure  accuracy of these")
    for threshold in GRID:
        sure = confidence >= threshold
        accuracy = f"{right[sure].mean():.3f}" if sure.any() else "-"
        print(f"{threshold:9.2f} {sure.mean():11.3f} {accuracy:>18}")
    print(f"choice: {choose_threshold(confidence, right)}")


if __name__ == "__main__":
    raise SystemExit(run(sys.modules[__name__]))
