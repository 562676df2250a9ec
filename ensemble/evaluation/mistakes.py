"""A panel's most confident wrong answers, with what is known of their reasons."""

import numpy as np
from numpy.typing import NDArray

from ensemble.evaluation.held_out_votes import HeldOutVotes
from ensemble.report.ablation_result import Mistake
from ensemble.voting.pooling import Array
from experts.shown import shown
from experts.voter import Explainer
from mire.labels import Taxonomy
from mire.privacy.masking import Hide, mask
from mire.votes import Vote

N_MISTAKES = 24
"""The most confident mistakes of each task that the report shows."""
N_TOP = 3


def mistakes(
    held_out: HeldOutVotes, pooled: Array, predicted: NDArray[np.int64], *, hide: Hide = mask
) -> tuple[Mistake, ...]:
    """The most confident mistakes first. ``pooled`` is (n, n_labels), ``predicted`` (n,) holds the labels' indices.

    Words are there for fresh votes only: a voter that cast out-of-fold votes is not kept.
    """
    wrong = [row for row in range(len(predicted)) if predicted[row] != held_out.truth[row]]
    rows = sorted(wrong, key=lambda row: -pooled[row].max())[:N_MISTAKES]
    samples = [held_out.samples[row] for row in rows]
    words = {voter.name: voter.explain(samples) for voter in held_out.voters if isinstance(voter, Explainer)}
    seen = shown(samples, held_out.votes, hide)
    labels = held_out.taxonomy.labels
    return tuple(
        Mistake(
            id=sample.id,
            label=labels[held_out.truth[row]],
            predict=labels[predicted[row]],
            probability=float(pooled[row].max()),
            images=tuple(map(str, sample.images)),
            hidden=seen[index].hidden,
            turns=seen[index].turns,
            votes={name: _top(votes[row], held_out.taxonomy) for name, votes in held_out.votes.items()},
            words={name: seen[index].words(each[index]) for name, each in words.items()},
            read=seen[index].read,
        )
        for index, (row, sample) in enumerate(zip(rows, samples, strict=True))
    )


def _top(vote: Vote | None, taxonomy: Taxonomy) -> tuple[tuple[str, float], ...]:
    """A vote's most probable labels; empty for an abstention."""
    top = taxonomy.top(vote.of_labels(len(taxonomy.labels)).probabilities, N_TOP) if vote else []
    return tuple((label.name, round(probability, 4)) for label, probability in top)
