"""A voter with given answers, and panels of such voters."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ensemble.panel import Panel, TaskPanel
from ensemble.voting.weights import VoterWeight, Weights
from mire.budget import Cost, ParameterCount
from mire.labels import Taxonomy, builtin_taxonomy
from mire.samples import Sample
from mire.settings import load_settings
from mire.votes import Vote


@dataclass
class FakeVoter:
    """Votes for ``answers[id]``; abstains where there is none. Counts how often it ran."""

    name: str
    answers: dict[str, str]
    cost: Cost = Cost(1, 10)
    taxonomy: Taxonomy = field(default_factory=lambda: builtin_taxonomy("image"))
    parameters: dict[str, int] = field(default_factory=dict)
    runs: int = 0

    def vote(self, samples: Sequence[Sample]) -> list[Vote | None]:
        self.runs += 1
        return [self._one(sample) for sample in samples]

    def _one(self, sample: Sample) -> Vote | None:
        if sample.id not in self.answers:
            return None
        place = self.taxonomy.index(self.answers[sample.id])
        rest = 0.2 / (len(self.taxonomy.labels) - 1)
        chances = [0.8 if label == place else rest for label in range(len(self.taxonomy.labels))]
        return Vote(self.name, sample.id, tuple(chances))

    def save(self, folder: Path) -> None:
        raise NotImplementedError


class HeldVoter(FakeVoter):
    """Votes once ``go`` is set."""

    def __init__(self) -> None:
        super().__init__("a", {str(place): "购物车页面" for place in range(9)})
        self.go, self.started = threading.Event(), threading.Event()

    def vote(self, samples: Sequence[Sample]) -> list[Vote | None]:
        self.started.set()
        assert self.go.wait(30)
        return super().vote(samples)


def image_panel(*voters: FakeVoter, **weights: float) -> Panel:
    ballots = {voter.name: VoterWeight(weight=weights.get(voter.name, 1.0)) for voter in voters}
    task = TaskPanel(builtin_taxonomy("image"), voters, Weights(voters=ballots))
    return Panel(load_settings("nano"), {"image": task}, ParameterCount({}))
