"""A panel's most confident wrong answers, with what is known of their reasons."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ensemble.evaluation.held_out_votes import HeldOutVotes
from ensemble.report.ablation_result import Mistake
from ensemble.vote import Array
from experts.registry import VOTERS
from experts.voter import Explainer
from mire.labels import Taxonomy
from mire.samples import Sample
from mire.votes import Vote

N_MISTAKES = 24
"""The most confident mistakes of each task that the report shows."""
N_TOP = 3
N_LINES = 40
"""Lines of text that are kept per picture."""


def mistakes(held_out: HeldOutVotes, pooled: Array, predicted: NDArray[np.int64]) -> tuple[Mistake, ...]:
    """The most confident mistakes first. ``pooled`` is (n, n_labels), ``predicted`` (n,) holds the labels' indices.

    Words are there for fresh votes only: a voter that cast out-of-fold votes is not kept.
    """
    wrong = [row for row in range(len(predicted)) if predicted[row] != held_out.truth[row]]
    rows = sorted(wrong, key=lambda row: -pooled[row].max())[:N_MISTAKES]
    samples = [held_out.samples[row] for row in rows]
    words = {voter.name: voter.explain(samples) for voter in held_out.voters if isinstance(voter, Explainer)}
    read = _lines(samples, held_out.votes)
    labels = held_out.taxonomy.labels
    return tuple(
        Mistake(
            id=sample.id,
            label=labels[held_out.truth[row]],
            predict=labels[predicted[row]],
            probability=float(pooled[row].max()),
            images=tuple(map(str, sample.images)),
            turns=tuple((turn.speaker, turn.text) for turn in sample.turns),
            votes={name: _top(votes[row], held_out.taxonomy) for name, votes in held_out.votes.items()},
            words={name: tuple((word, round(added, 3)) for word, added in each[index]) for name, each in words.items()},
            read=tuple(line for path in sample.images[:1] for line in read.get(path, [])),
        )
        for index, (row, sample) in enumerate(zip(rows, samples, strict=True))
    )


def _lines(samples: Sequence[Sample], voters: Iterable[str]) -> dict[Path, list[str]]:
    """The lines of text on each sample's first picture, from top to bottom, as the voters read them."""
    paths = [sample.images[0] for sample in samples if sample.images]
    read: dict[Path, list[str]] = {}
    for name in voters:
        read |= VOTERS[name].resolve().read_lines(paths)
    return {path: lines[:N_LINES] for path, lines in read.items()}


def _top(vote: Vote | None, taxonomy: Taxonomy) -> tuple[tuple[str, float], ...]:
    """A vote's most probable labels; empty for an abstention."""
    top = taxonomy.top(vote.probabilities, N_TOP) if vote else []
    return tuple((label.name, round(probability, 4)) for label, probability in top)
