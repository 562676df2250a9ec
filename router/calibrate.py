"""Choose the router's threshold by cross-validation on its phrases, and measure how often each kind of route is right.

    python -m router.calibrate [--out router/confidences.json]

Run it in the root of a checkout. The labelled prompts are the phrases, judged by classifiers that had not seen them,
the shipped samples, and the reworded prompts of the tests, which no part of the router was made from.
"""

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mire.atomic_files import write_text
from mire.cli import run
from mire.labels import Task, builtin_taxonomy
from mire.metrics import wilson
from router.route import THRESHOLD, route_text

LABELLED = (Path("samples/train.json"), Path("samples/test.json"), Path("tests/router/reworded.json"))
N_FOLDS = 5
SEEDS = (0, 1, 2)
GRID = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
WANTED_ACCURACY = 0.99


@lru_cache
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


def labelled_prompts(paths: Iterable[Path]) -> Iterator[tuple[str, Task]]:
    """Prompts and their tasks: records in the official format, whose label tells the task, or with text and task."""
    intents = builtin_taxonomy("dialogue")
    for path in paths:
        for record in json.loads(path.read_text(encoding="utf-8")):
            task: Task = record.get("task") or ("dialogue" if record["output"] in intents else "image")
            yield record.get("text") or record["instruction"], task


def count_routes(prompts: Iterable[tuple[str, Task]]) -> dict[str, dict[str, int]]:
    """For each kind of reason how many prompts were routed by it (``n``), and how many of them ``right``."""
    confidence, hits = held_out()
    n_phrases = len(hits) // len(SEEDS)
    judged = [
        ("the instruction's words" if sure else "fallback: no picture, no dialogue, unsure words", bool(hit))
        for sure, hit in zip(confidence[:n_phrases] >= THRESHOLD, hits[:n_phrases], strict=True)
    ]
    for text, task in prompts:
        found = route_text(text)
        judged.append((re.sub(r"^\d+ \w+ (?=labels)", "", found.reason), found.task == task))
    n, right = Counter(kind for kind, _ in judged), Counter(kind for kind, hit in judged if hit)
    return {kind: {"n": n[kind], "right": right[kind]} for kind in sorted(n)}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--out", type=Path, help="write the counts there: router/confidences.json")


def execute(options: argparse.Namespace) -> None:
    """Print how often each kind of route is right, and the share and accuracy of confident answers per threshold."""
    counts = count_routes(labelled_prompts(LABELLED))
    if options.out is not None:
        write_text(options.out, json.dumps(counts, indent=1) + "\n")
    for kind, count in counts.items():
        print(f"{kind:<50} {_share(count['right'] / count['n'], count['n'])}")
    confidence, right = held_out()
    print(f"phrases: {_share(right.mean(), len(right) // len(SEEDS))}\nthreshold  share sure  accuracy of these")
    for threshold in GRID:
        sure = confidence >= threshold
        accuracy = _share(right[sure].mean(), int(sure.sum()) // len(SEEDS)) if sure.any() else "-"
        print(f"{threshold:9.2f} {sure.mean():11.3f}  {accuracy}")
    print(f"choice: {choose_threshold(confidence, right)}")


def _share(share: float, n: int) -> str:
    """A share of ``n`` with its 95 % interval; seeds repeat phrases, so ``n`` counts each phrase once."""
    bounds = wilson(share * n, n)
    return f"{share:.3f} ({bounds.low:.3f} - {bounds.high:.3f}, n {n})"


if __name__ == "__main__":
    raise SystemExit(run(sys.modules[__name__]))
