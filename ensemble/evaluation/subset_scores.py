"""Score what some voters of a panel answer together, and what each voter adds to the others."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ensemble.evaluation.held_out_votes import HeldOutVotes
from ensemble.report.ablation_result import Contribution, Contributions, SubsetFigures
from ensemble.voting.pooling import winners
from mire.labels import TASKS
from mire.metrics import interval, resampled_f1, scores

VoterNames = tuple[str, ...]


@dataclass(frozen=True)
class SubsetScore:
    """The figures of some voters of one task, and the bootstrap resamples of their F1, (n_resamples,).

    All subsets of one task are resampled alike, so that differences of resamples are paired.
    """

    figures: SubsetFigures
    resamples: NDArray[np.float64]


def score_subset(held_out: HeldOutVotes, names: Sequence[str]) -> SubsetScore:
    """Score these voters' common answer."""
    labels = held_out.taxonomy.labels
    truth = [labels[index] for index in held_out.truth]
    predicted = [labels[index] for index in winners(held_out.pooled(names))]
    # Another seed per task: the mean of both tasks adds their resamples, which must be independent.
    resamples = resampled_f1(truth, predicted, seed=TASKS.index(held_out.task))
    figures = SubsetFigures(
        voters=tuple(names),
        n=len(truth),
        **scores(truth, predicted).figures,
        **asdict(interval(resamples)),
        calls=sum(held_out.costs[name].calls for name in names),
        output_tokens=sum(held_out.costs[name].output_tokens for name in names),
        milliseconds=sum(held_out.milliseconds[name] for name in names) if held_out.milliseconds else None,
    )
    return SubsetScore(figures, resamples)


def subsets(names: VoterNames) -> list[VoterNames]:
    """Each voter, each pair, and all voters, once."""
    return list(dict.fromkeys([*combinations(names, 1), *combinations(names, 2), names]))


def contributions(names: VoterNames, score: Callable[[VoterNames], SubsetScore]) -> Contributions:
    """What each voter is worth, as changes of F1 with their paired 95 % intervals; ``score`` scores some voters."""
    panel = score(names)
    others = {name: tuple(other for other in names if other != name) for name in names}
    ranked = sorted(names, key=lambda name: -score((name,)).figures.f1)
    added = [tuple(name for name in names if name in ranked[:n]) for n in range(1, len(names) + 1)]
    return Contributions(
        left_out=tuple(_change(name, score(rest), panel) for name, rest in others.items() if rest),
        added=tuple(
            _change(name, score(added[index - 1]) if index else None, score(added[index]))
            for index, name in enumerate(ranked)
        ),
    )


def _change(voter: str, before: SubsetScore | None, after: SubsetScore) -> Contribution:
    """From one subset to another; without any voter (None) F1 is zero."""
    base = before.resamples if before else np.zeros_like(after.resamples)
    f1 = after.figures.f1
    change = f1 - (before.figures.f1 if before else 0.0)
    return Contribution(voter=voter, f1=f1, change=change, **asdict(interval(after.resamples - base)))
