"""The wrong answers that a panel was surest of, with what can be known of their reasons."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ensemble.evaluation.held_out_votes import HeldOutVotes
from ensemble.vote import Array
from experts.registry import VOTERS
from experts.voter import Explainer
from mire.samples import Sample

N_MISTAKES = 24
"""The most confident mistakes of each task that the report shows."""
N_TOP = 3
N_LINES = 40
"""Lines of text that are kept of a picture."""


def mistakes(evidence: HeldOutVotes, pooled: Array, predicted: NDArray[np.int64]) -> list[dict[str, Any]]:
    """The surest mistakes first: the sample, each voter's first labels, its words, and the text that was read.

    Words are there for fresh votes only: the voter that cast an out-of-fold vote is not kept.
    """
    labels = evidence.taxonomy.labels
    wrong = [row for row in range(len(predicted)) if predicted[row] != evidence.truth[row]]
    rows = sorted(wrong, key=lambda row: -pooled[row].max())[:N_MISTAKES]
    samples = [evidence.samples[row] for row in rows]
    words = {voter.name: voter.explain(samples) for voter in evidence.voters if isinstance(voter, Explainer)}
    read = _lines(samples, evidence.votes)
    return [
        {
            "id": sample.id,
            "label": labels[evidence.truth[row]],
            "predict": labels[predicted[row]],
            "probability": float(pooled[row].max()),
            "images": [str(path) for path in sample.images],
            "turns": [[turn.speaker, turn.text] for turn in sample.turns],
            "votes": {
                name: _top(vote.probabilities, labels) if (vote := votes[row]) else []
                for name, votes in evidence.votes.items()
            },
            "words": {name: [[word, round(added, 3)] for word, added in each[place]] for name, each in words.items()},
            "read": [line for path in sample.images[:1] for line in read.get(path, [])],
        }
        for place, (row, sample) in enumerate(zip(rows, samples, strict=True))
    ]


def _lines(samples: Sequence[Sample], voters: Iterable[str]) -> dict[Path, list[str]]:
    """The lines of text on each sample's first picture, from top to bottom, as the voters read them."""
    paths = [sample.images[0] for sample in samples if sample.images]
    read: dict[Path, list[str]] = {}
    for name in voters:
        read |= VOTERS[name].resolve().read_lines(paths)
    return {path: lines[:N_LINES] for path, lines in read.items()}


def _top(probabilities: Sequence[float], labels: Sequence[str]) -> list[list[Any]]:
    best = sorted(range(len(labels)), key=lambda place: -probabilities[place])[:N_TOP]
    return [[labels[place], round(probabilities[place], 4)] for place in best]
