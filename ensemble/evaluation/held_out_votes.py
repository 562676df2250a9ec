"""Held-out votes on labelled samples: out-of-fold ones for training samples, fresh ones for all others."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ensemble.decisions.threshold_file import is_unlike
from ensemble.panel import Panel, Votes, pool
from ensemble.voting.fitting import cross_fit, weigh
from ensemble.voting.oof_votes import OutOfFoldVotes, read_out_of_fold_votes
from ensemble.voting.pooling import Array
from ensemble.voting.weights import Weights
from experts.voter import Voter
from mire.budget import Cost, Ledger
from mire.errors import DataError
from mire.folds import trained_on
from mire.labels import TASKS, Task, Taxonomy
from mire.panel_card import read_card
from mire.panel_folder import PanelFolder
from mire.samples import Sample
from mire.settings import Settings
from mire.votes import Vote

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class HeldOutVotes:
    """One task's votes on labelled samples, and how any of its voters would be pooled.

    ``truth`` (n,) holds the right labels' indices. ``weights`` takes some voters' names and gives pairs of rows and
    the weights to pool them with, which were fitted on other rows. ``voters`` are the loaded voters that cast the
    votes; empty for out-of-fold votes. ``milliseconds`` is each voter's time per sample, from the panel's card; empty
    where it has none.
    """

    task: Task
    taxonomy: Taxonomy
    samples: tuple[Sample, ...]
    truth: NDArray[np.int64]
    votes: Votes
    costs: dict[str, Cost]
    out_of_fold: bool
    weights: Callable[[Sequence[str]], list[tuple[NDArray[np.int64], Weights]]]
    voters: tuple[Voter, ...] = ()
    milliseconds: Mapping[str, float] = field(default_factory=dict)

    def unlike(self) -> NDArray[np.bool_]:
        """Which samples all voters together take for unlike anything seen, (n,)."""
        result = np.zeros(len(self.samples), dtype=bool)
        for rows, weights in self.weights(tuple(self.votes)):
            for row in rows:
                cast = [vote for votes in self.votes.values() if (vote := votes[row])]
                told = {vote.voter: vote.evidence for vote in cast if vote.evidence is not None}
                result[row] = is_unlike(weights.familiarity(told))
        return result

    def pooled(self, names: Sequence[str], *, calibrated: bool = True) -> Array:
        """The distribution that these voters agree on; (n, n_labels). Uncalibrated: all temperatures 1."""
        n_labels = len(self.taxonomy.labels)
        result = np.zeros((len(self.samples), n_labels))
        for rows, fitted in self.weights(names):
            weights = fitted if calibrated else fitted.without_temperatures()
            result[rows] = pool({name: [self.votes[name][row] for row in rows] for name in names}, weights, n_labels)
        return result


def collect_held_out_votes(groups: Mapping[Task, Sequence[Sample]], root: Path) -> list[HeldOutVotes]:
    """Held-out votes on each task's samples, in the order of ``TASKS``.

    Where all of a task's samples were trained on, their out-of-fold votes are taken, and weights are
    cross-fitted. Where only some were, those are left out, and a line is logged.

    Raises:
        DataError: a sample has no label, or one that the panel does not know.
    """
    folder = PanelFolder(root)
    settings = folder.settings()
    fresh: dict[Task, list[Sample]] = {}
    held_out: list[HeldOutVotes] = []
    for task, members in groups.items():
        _check(members, folder.answered(task))
        seen = trained_on(folder.folds(task), members)
        if len(seen) == len(members):
            held_out.append(_out_of_fold(task, members, seen, folder, settings))
            continue
        if seen:
            logger.info(
                f"{task}: {len(seen)} samples were trained on and are left out, {len(members) - len(seen)} are scored"
            )
        fresh[task] = [sample for sample in members if sample.id not in seen]
    if fresh:
        panel = Panel.load(root, tuple(fresh))
        held_out += [_fresh(task, members, panel, folder) for task, members in fresh.items()]
    return sorted(held_out, key=lambda part: TASKS.index(part.task))


def _fresh(task: Task, samples: Sequence[Sample], panel: Panel, folder: PanelFolder) -> HeldOutVotes:
    part = panel.tasks[task]
    oof = read_out_of_fold_votes(folder, task)
    rows = np.arange(len(samples))
    return HeldOutVotes(
        task=task,
        taxonomy=part.taxonomy,
        samples=tuple(samples),
        truth=np.array([part.taxonomy.index(str(sample.label)) for sample in samples]),
        votes=part.cast(samples, Ledger()),
        costs={voter.name: voter.cost for voter in part.voters},
        out_of_fold=False,
        weights=lambda names: [(rows, weigh(oof.of(names), panel.settings, task))],
        voters=part.voters,
        milliseconds=_milliseconds(folder, task),
    )


def _out_of_fold(
    task: Task, samples: Sequence[Sample], training_ids: Mapping[str, str], folder: PanelFolder, settings: Settings
) -> HeldOutVotes:
    """The votes that were kept from training; of samples with the same content under several ids the last counts."""
    oof = read_out_of_fold_votes(folder, task)
    known = {training_ids[sample.id]: sample for sample in samples}
    kept = np.array([row for row, training_id in enumerate(oof.ids) if training_id in known])
    oof = oof.rows(kept)
    members = tuple(known[training_id] for training_id in oof.ids)
    return HeldOutVotes(
        task=task,
        taxonomy=folder.taxonomy(task),
        samples=members,
        truth=oof.truth,
        votes={name: _votes(name, members, oof) for name in oof.votes},
        costs=oof.costs,
        out_of_fold=True,
        weights=lambda names: cross_fit(oof.of(names), settings, task),
        milliseconds=_milliseconds(folder, task),
    )


def _votes(name: str, samples: Sequence[Sample], oof: OutOfFoldVotes) -> list[Vote | None]:
    """One voter's out-of-fold votes as it cast them."""
    told = oof.evidence[name].tolist() if name in oof.evidence else [None] * len(samples)
    return [
        Vote(name, sample.id, tuple(row), evidence=evidence)
        for sample, row, evidence in zip(samples, oof.votes[name].tolist(), told, strict=True)
    ]


def _milliseconds(folder: PanelFolder, task: Task) -> Mapping[str, float]:
    card = read_card(folder, task)
    return card.milliseconds if card else {}


def _check(samples: Sequence[Sample], taxonomy: Taxonomy) -> None:
    for sample in samples:
        if sample.label not in taxonomy:
            raise DataError(
                f"votes are scored by labels: sample {sample.id!r} needs a live {taxonomy.task} label, but has "
                f"{sample.label!r}"
            )
