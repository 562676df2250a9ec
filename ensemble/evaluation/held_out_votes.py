"""Honest votes on labelled samples: out-of-fold ones for training samples, fresh ones for all others."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ensemble.fitting import equal_weights, weigh
from ensemble.oof_votes import OutOfFoldVotes, read_out_of_fold_votes
from ensemble.panel import Panel, Votes, by_task, pool
from ensemble.vote import Array
from ensemble.weights import Weights
from experts.voter import Voter
from mire.budget import Cost, Ledger
from mire.errors import DataError
from mire.folds import trained_on
from mire.labels import Task, Taxonomy
from mire.panel_card import read_card
from mire.panel_folder import PanelFolder
from mire.samples import Sample
from mire.settings import Settings
from mire.votes import Vote

logger = logging.getLogger(__name__)

SEED = 0
N_PARTS = 5
"""Parts of a cross-fit: the weights for each part are fitted on the other parts."""


@dataclass(frozen=True)
class HeldOutVotes:
    """One task's votes on labelled samples, and how any of its voters would be pooled.

    ``truth`` (n,) holds the right labels' places. ``weights`` gives, for some voters' names, pairs of
    rows and the weights that may be used on them: none was fitted on the rows that it serves. ``voters``
    are those who cast the votes, loaded; of out-of-fold votes they are not kept. ``milliseconds`` is what a
    sample takes each voter, as the panel's card says; empty where it does not.
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

    def pooled(self, names: Sequence[str], *, calibrated: bool = True) -> Array:
        """The distribution that these voters agree on; (n, n_labels). Uncalibrated: all temperatures 1."""
        n_labels = len(self.taxonomy.labels)
        result = np.zeros((len(self.samples), n_labels))
        for rows, fitted in self.weights(names):
            weights = fitted if calibrated else fitted.without_temperatures()
            result[rows] = pool({name: [self.votes[name][row] for row in rows] for name in names}, weights, n_labels)
        return result


def collect_held_out_votes(samples: Sequence[Sample], root: Path) -> list[HeldOutVotes]:
    """Held-out votes for each task that the samples belong to.

    Where all of a task's samples were trained on, their out-of-fold votes are taken, and weights are
    cross-fitted. Where only some were, those are left out and it is said.

    Raises:
        DataError: a sample has no label, or one that the panel does not know.
    """
    folder = PanelFolder(root)
    settings = folder.settings()
    fresh: dict[Task, list[Sample]] = {}
    evidence: list[HeldOutVotes] = []
    for task, members in by_task(samples).items():
        _check(members, folder.taxonomy(task))
        seen = trained_on(folder.folds(task), members)
        if len(seen) == len(members):
            evidence.append(_out_of_fold(task, members, seen, folder, settings))
            continue
        if seen:
            logger.info(
                f"{task}: {len(seen)} samples were trained on and are left out, {len(members) - len(seen)} are judged"
            )
        fresh[task] = [sample for sample in members if sample.id not in seen]
    if fresh:
        panel = Panel.load(root, tuple(fresh))
        evidence += [_fresh(task, members, panel, folder) for task, members in fresh.items()]
    return evidence


def _fresh(task: Task, samples: Sequence[Sample], panel: Panel, folder: PanelFolder) -> HeldOutVotes:
    part = panel.tasks[task]
    box = read_out_of_fold_votes(folder, task)
    rows = np.arange(len(samples))
    return HeldOutVotes(
        task=task,
        taxonomy=part.taxonomy,
        samples=tuple(samples),
        truth=np.array([part.taxonomy.index(str(sample.label)) for sample in samples]),
        votes=part.cast(samples, Ledger()),
        costs={voter.name: voter.cost for voter in part.voters},
        out_of_fold=False,
        weights=lambda names: [(rows, weigh(box.of(names), panel.settings, task))],
        voters=part.voters,
        milliseconds=_milliseconds(folder, task),
    )


def _out_of_fold(
    task: Task, samples: Sequence[Sample], training_ids: Mapping[str, str], folder: PanelFolder, settings: Settings
) -> HeldOutVotes:
    """The votes that were kept from training; of samples with the same content under several ids the last counts."""
    box = read_out_of_fold_votes(folder, task)
    known = {training_ids[sample.id]: sample for sample in samples}
    kept = np.array([row for row, training_id in enumerate(box.ids) if training_id in known])
    box = box.rows(kept)
    members = tuple(known[training_id] for training_id in box.ids)
    return HeldOutVotes(
        task=task,
        taxonomy=folder.taxonomy(task),
        samples=members,
        truth=box.truth,
        votes={
            name: [Vote(name, sample.id, tuple(row)) for sample, row in zip(members, vote.tolist(), strict=True)]
            for name, vote in box.votes.items()
        },
        costs=box.costs,
        out_of_fold=True,
        weights=lambda names: _cross_fit(box.of(names), settings, task),
        milliseconds=_milliseconds(folder, task),
    )


def _milliseconds(folder: PanelFolder, task: Task) -> Mapping[str, float]:
    card = read_card(folder, task)
    return card.milliseconds if card else {}


def cross_fit_parts(n: int) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Pairs of rows: those to be judged, and all others, which may be learned from."""
    parts = np.random.default_rng(SEED).permutation(n) % N_PARTS
    return [(np.flatnonzero(parts == part), np.flatnonzero(parts != part)) for part in range(min(N_PARTS, n))]


def _cross_fit(box: OutOfFoldVotes, settings: Settings, task: Task) -> list[tuple[NDArray[np.int64], Weights]]:
    """For each part of the samples, weights that were fitted on the other parts; equal ones where there are none."""
    return [
        (judged, weigh(box.rows(learned), settings, task) if len(learned) else equal_weights(box, settings.vote))
        for judged, learned in cross_fit_parts(len(box.ids))
    ]


def _check(samples: Sequence[Sample], taxonomy: Taxonomy) -> None:
    for sample in samples:
        if sample.label not in taxonomy:
            raise DataError(
                f"votes are judged by labels: sample {sample.id!r} needs a live {taxonomy.task} label, but has "
                f"{sample.label!r}"
            )
