"""A trained panel: one shared base, the voters of each task, the fitted vote, the budgets."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ensemble.vote import Array, winners
from ensemble.voters import load_voter
from ensemble.weights import Weights, as_array, read_weights
from experts.voter import Voter
from mire.budget import Ledger, ParameterCount
from mire.errors import PanelError
from mire.labels import TASKS, Task, Taxonomy
from mire.panel_folder import PanelFolder
from mire.samples import Sample
from mire.settings import Settings
from mire.votes import Prediction, Vote
from router.route import route

Votes = dict[str, list[Vote | None]]
"""For each voter one vote a sample, in the samples' order; None where it abstained."""


@dataclass(frozen=True)
class TaskPanel:
    """The voters of one task and how their votes are pooled."""

    taxonomy: Taxonomy
    voters: tuple[Voter, ...]
    weights: Weights

    def cast(self, samples: Sequence[Sample], ledger: Ledger) -> Votes:
        """Every voter's votes; each is booked for every sample before the voter runs.

        Raises:
            BudgetError: a vote would break the limit of calls or tokens; that voter has not run then.
        """
        votes: Votes = {}
        for voter in self.voters:
            for sample in samples:
                ledger.book(sample.id, voter.name, voter.cost)
            votes[voter.name] = voter.vote(samples)
        return votes


def pool(votes: Votes, weights: Weights, n_labels: int) -> Array:
    """One distribution a sample, (n, n_labels); weights of voters that abstained go to the others.

    A sample without any vote gets equal probabilities.
    """
    n_samples = len(next(iter(votes.values())))
    pooled = np.full((n_samples, n_labels), 1 / n_labels)
    rows: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for row in range(n_samples):
        rows[tuple(name for name in votes if votes[name][row])].append(row)
    for names, members in rows.items():
        if names:
            pooled[members] = weights.pool({name: _stack(votes[name], members) for name in names})
    return pooled


@dataclass(frozen=True)
class Panel:
    """Everything a prediction needs, loaded."""

    settings: Settings
    tasks: dict[Task, TaskPanel]
    parameters: ParameterCount

    @classmethod
    def load(cls, root: Path, tasks: Iterable[Task] = TASKS) -> "Panel":
        """Load the experts of ``tasks`` from a panel folder; the Qwen2-VL base is loaded at most once.

        Raises:
            PanelError: the folder is no panel, or lacks a task's experts.
            BudgetError: the models together have too many parameters.
        """
        folder = PanelFolder(root)
        settings = folder.settings()
        base = None
        if any("qwen2vl" in settings.panel.voters(task) for task in tasks):
            from experts.qwen2vl.base import load_base

            base = load_base(settings.qwen2vl)
        loaded: dict[Task, TaskPanel] = {}
        for task in tasks:
            taxonomy = folder.taxonomy(task)
            voters = tuple(
                load_voter(name, folder.voter(task, name), taxonomy=taxonomy, settings=settings, base=base)
                for name in settings.panel.voters(task)
            )
            loaded[task] = TaskPanel(taxonomy, voters, read_weights(folder.weights(task)))
        parts = {part: n for panel in loaded.values() for voter in panel.voters for part, n in voter.parameters.items()}
        count = ParameterCount(parts)
        count.check()
        return cls(settings, loaded, count)

    def predict(self, samples: Sequence[Sample], ledger: Ledger) -> list[Prediction]:
        """One prediction a sample, in order.

        Raises:
            PanelError: a sample belongs to a task whose experts are not loaded.
            BudgetError: as ``TaskPanel.cast``.
        """
        predictions: dict[str, Prediction] = {}
        for task, members in by_task(samples).items():
            if task not in self.tasks:
                raise PanelError(f"the panel has no {task} experts, but sample {members[0].id!r} is a {task} sample")
            panel = self.tasks[task]
            votes = panel.cast(members, ledger)
            pooled = pool(votes, panel.weights, len(panel.taxonomy.labels))
            for row, (sample, place) in enumerate(zip(members, winners(pooled), strict=True)):
                cast = tuple(vote for name in votes if (vote := votes[name][row]))
                silent = tuple(f"{name} abstained" for name in votes if not votes[name][row])
                booked = ledger.booked(sample.id)
                predictions[sample.id] = Prediction(
                    sample_id=sample.id,
                    task=task,
                    label=panel.taxonomy.labels[place],
                    probabilities=tuple(map(float, pooled[row])),
                    votes=cast,
                    problems=sample.problems + silent,
                    n_calls=booked.calls,
                    n_output_tokens=booked.output_tokens,
                )
        return [predictions[sample.id] for sample in samples]


def by_task(samples: Sequence[Sample]) -> dict[Task, list[Sample]]:
    """Samples by the router's task, in order."""
    groups: dict[Task, list[Sample]] = {}
    for sample in samples:
        groups.setdefault(route(sample.prompt).task, []).append(sample)
    return groups


def _stack(votes: Sequence[Vote | None], rows: Sequence[int]) -> Array:
    return as_array([vote.probabilities for row in rows if (vote := votes[row])])
