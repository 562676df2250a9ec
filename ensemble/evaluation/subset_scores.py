"""Score what some voters of a panel answer together, and what each voter adds to the others."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ensemble.evaluation.held_out_votes import HeldOutVotes
from ensemble.vote import winners
from mire.metrics import interval, resampled_f1, scores

VoterNames = tuple[str, ...]


@dataclass(frozen=True)
class SubsetScore:
    """Some voters of one task, judged: the figures, and the bootstrap resamples behind the interval.

    All systems of one task are resampled alike, so that differences of resamples are paired.
    """

    voters: VoterNames
    figures: dict[str, Any]
    resamples: NDArray[np.float64]


def judge(evidence: HeldOutVotes, names: Sequence[str]) -> SubsetScore:
    """Score these voters' common answer."""
    labels = evidence.taxonomy.labels
    truth = [labels[place] for place in evidence.truth]
    predicted = [labels[place] for place in winners(evidence.pooled(names))]
    resamples = resampled_f1(truth, predicted)
    figures = {
        "n": len(truth),
        **scores(truth, predicted).figures,
        **asdict(interval(resamples)),
        "calls": sum(evidence.costs[name].calls for name in names),
        "output_tokens": sum(evidence.costs[name].output_tokens for name in names),
        "milliseconds": sum(evidence.milliseconds[name] for name in names) if evidence.milliseconds else None,
    }
    return SubsetScore(tuple(names), figures, resamples)


def subsets(names: VoterNames) -> list[VoterNames]:
    """Each voter, each pair, and the panel, once."""
    return list(dict.fromkeys([*combinations(names, 1), *combinations(names, 2), names]))


def contributions(names: VoterNames, judged: Callable[[VoterNames], SubsetScore]) -> dict[str, list[dict[str, Any]]]:
    """What each voter is worth, as changes of F1 with their paired 95 % intervals.

    ``left_out``: the panel against the panel without the voter. ``added``: the voters in the order of their
    own F1, each against those before it; the first against nothing. ``judged`` scores some of the voters.
    """
    panel = judged(names)
    others = {name: tuple(other for other in names if other != name) for name in names}
    ranked = sorted(names, key=lambda name: -judged((name,)).figures["f1"])
    added = [tuple(name for name in names if name in ranked[:n]) for n in range(1, len(names) + 1)]
    return {
        "left_out": [_change(name, judged(rest), panel) for name, rest in others.items() if rest],
        "added": [
            _change(name, judged(added[place - 1]) if place else None, judged(added[place]))
            for place, name in enumerate(ranked)
        ],
    }


def _change(voter: str, before: SubsetScore | None, after: SubsetScore) -> dict[str, Any]:
    """From one system to another; a system of nobody has an F1 of zero."""
    base = before.resamples if before else np.zeros_like(after.resamples)
    change = after.figures["f1"] - (before.figures["f1"] if before else 0.0)
    return {"voter": voter, "f1": after.figures["f1"], "change": change, **asdict(interval(after.resamples - base))}
