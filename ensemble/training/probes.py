"""Probe a trained voter: what its base answers without the adapter, and what it answers to altered samples."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice

import numpy as np

from ensemble.training.accidents import Answers, Probes
from experts.qwen2vl.voter import Qwen2VLVoter
from mire.images import NO_PICTURE
from mire.prompts import Prompt
from mire.samples import Sample
from mire.votes import Vote

N_PROBED = 64
"""At most so many held-out samples are asked again, twice each: a few seconds where training took minutes."""


def probe(
    voter: Qwen2VLVoter, samples: Sequence[Sample], votes: Sequence[Vote | None], losses: Sequence[float], *, seed: int
) -> Probes:
    """Compare ``votes`` on held-out ``samples`` with those of the base alone, and with those on altered samples."""
    known = answers_of(votes)
    voted = [sample for sample in samples if sample.id in known]
    asked = [voted[index] for index in np.random.default_rng(seed).permutation(len(voted))[:N_PROBED]]
    image = voter.taxonomy.task == "image"
    altered = [each for each in map(with_grey_pictures if image else with_reversed_turns, asked) if each]
    pair = _paired(known, answers_of(voter.vote(altered) if altered else []))
    base = answers_of(voter.untrained().vote(asked) if asked else [])
    truth = {sample.id: voter.taxonomy.index(str(sample.label)) for sample in asked if sample.id in base}
    right, base_right = (np.array([each[key] == truth[key] for key in truth], dtype=bool) for each in (known, base))
    return Probes(losses, right, base_right, {"grey pictures" if image else "reversed turns": pair})


def answers_of(votes: Sequence[Vote | None]) -> dict[str, int]:
    """The index of each vote's top label, by sample id."""
    return {vote.sample_id: int(np.argmax(vote.probabilities)) for vote in votes if vote}


def with_grey_pictures(sample: Sample) -> Sample | None:
    """The sample with grey pictures, as unreadable ones become; None if it has none."""
    return replace(sample, images=(NO_PICTURE,) * len(sample.images)) if sample.images else None


def with_reversed_turns(sample: Sample) -> Sample | None:
    """The dialogue from its last turn to its first: of all orders the one that moves the last question furthest.

    None where fewer than two turns are the user's: there is no other question that could be taken for the last.
    """
    prompt, pictures = sample.prompt, iter(sample.images)
    if sum(turn.speaker == "user" for turn in prompt.turns) < 2:
        return None
    head = tuple(islice(pictures, prompt.head.count("<image>")))
    sent = [tuple(islice(pictures, turn.n_images)) for turn in prompt.turns]
    turns = prompt.turns[::-1]
    said = "".join(turn.line for turn in turns)
    images = (*head, *chain(*reversed(sent)), *pictures)
    changed = Prompt(prompt.head + said + prompt.tail, prompt.head, turns, prompt.tail)
    return replace(sample, prompt=changed, images=images)


def _paired(before: Mapping[str, int], after: Mapping[str, int]) -> tuple[Answers, Answers]:
    """Both answers of the samples that have two."""
    first, second = (np.array([each[key] for key in after], dtype=np.int64) for each in (before, after))
    return first, second
