"""Held-out votes of voters with given answers, each with a probability of about 0.9."""

import numpy as np

from ensemble.evaluation.held_out_votes import HeldOutVotes
from ensemble.voting.weights import VoterWeight, Weights
from mire.budget import Cost
from mire.labels import builtin_taxonomy
from mire.prompts import parse_prompt
from mire.samples import Sample
from mire.votes import Vote

TAXONOMY = builtin_taxonomy("image")
TRUTH = (0, 0, 1, 1)


def evidence(**guesses: tuple[int, ...]) -> HeldOutVotes:
    """Each voter is sure of the place that it guesses for each of four samples; all weigh alike."""
    samples = tuple(Sample(str(row), parse_prompt("<image>")) for row in range(4))
    sure = np.full((23, 23), 0.001) + 0.9 * np.eye(23)
    votes = {
        name: [Vote(name, str(row), tuple(sure[place] / sure[place].sum())) for row, place in enumerate(places)]
        for name, places in guesses.items()
    }
    return HeldOutVotes(
        task="image",
        taxonomy=TAXONOMY,
        samples=samples,
        truth=np.array(TRUTH),
        votes=dict(votes),
        costs={name: Cost(1, 10 + place) for place, name in enumerate(guesses)},
        out_of_fold=False,
        weights=lambda names: [(np.arange(4), Weights(voters={name: VoterWeight() for name in names}))],
    )
