"""Out-of-fold votes on disk: what ``ensemble.fit`` learns the vote from."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, model_validator

from ensemble.voting.pooling import Array
from mire.atomic_files import read_model, write_text
from mire.budget import Cost
from mire.errors import PanelError
from mire.labels import Task, Taxonomy
from mire.panel_folder import PanelFolder
from mire.votes import Vote


@dataclass(frozen=True)
class OutOfFoldVotes:
    """Votes of several voters on the same labelled samples, none of which the voter was trained on.

    ``votes[name]`` is (n, n_labels), in the order of ``ids``; ``truth`` (n,) holds the right labels' indices;
    ``costs[name]`` is what one vote books; ``evidence[name]`` (n,) is there of voters that tell it.
    """

    ids: tuple[str, ...]
    truth: NDArray[np.int64]
    votes: dict[str, Array]
    costs: dict[str, Cost]
    evidence: dict[str, Array] = field(default_factory=dict)

    def of(self, names: Sequence[str]) -> "OutOfFoldVotes":
        """The same samples with some of the voters."""
        evidence = {name: self.evidence[name] for name in names if name in self.evidence}
        return replace(self, votes={name: self.votes[name] for name in names}, evidence=evidence)

    def rows(self, rows: NDArray[np.int64]) -> "OutOfFoldVotes":
        """Some of the samples with all voters."""
        votes = {name: vote[rows] for name, vote in self.votes.items()}
        evidence = {name: values[rows] for name, values in self.evidence.items()}
        ids = tuple(self.ids[row] for row in rows)
        return replace(self, ids=ids, truth=self.truth[rows], votes=votes, evidence=evidence)


class _CastVote(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    label: str
    probabilities: tuple[float, ...]
    evidence: float | None = None


class _VotesFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    labels: tuple[str, ...]
    cost: Cost
    votes: dict[str, _CastVote]

    @model_validator(mode="after")
    def _check(self) -> "_VotesFile":
        known = set(self.labels)
        for sample_id, vote in self.votes.items():
            if vote.label not in known or len(vote.probabilities) != len(self.labels):
                raise ValueError(f"sample {sample_id!r} has another label, or not one probability per label")
        return self


def write_votes(
    path: Path, votes: Sequence[Vote | None], labels: dict[str, str], *, taxonomy: Taxonomy, cost: Cost
) -> None:
    """Write one voter's out-of-fold votes with the right labels; samples it abstained on are left out."""
    path.unlink(missing_ok=True)
    add_votes(path, votes, labels, taxonomy=taxonomy, cost=cost)


def add_votes(
    path: Path, votes: Sequence[Vote | None], labels: dict[str, str], *, taxonomy: Taxonomy, cost: Cost
) -> None:
    """Write as ``write_votes``, and keep what the file holds of other samples.

    Raises:
        PanelError: the file is broken, or of other labels.
    """
    kept = _read(path, path.stem, taxonomy).model_dump(exclude_none=True)["votes"] if path.is_file() else {}
    cast = {
        vote.sample_id: {
            "label": labels[vote.sample_id],
            "probabilities": [round(probability, 6) for probability in vote.probabilities],
            **({} if vote.evidence is None else {"evidence": round(vote.evidence, 6)}),
        }
        for vote in votes
        if vote
    }
    body = {"labels": list(taxonomy.labels), "cost": cost._asdict(), "votes": kept | cast}
    write_text(path, json.dumps(body, ensure_ascii=False) + "\n")


def read_out_of_fold_votes(panel: PanelFolder, task: Task) -> OutOfFoldVotes:
    """Votes of all of a task's voters on the samples that every one of them voted on.

    Raises:
        PanelError: a voter's file is missing, broken or of other labels, or no sample has all votes.
    """
    taxonomy = panel.taxonomy(task)
    files = {name: _read(panel.votes(task, name), name, taxonomy) for name in panel.settings().panel.voters(task)}
    first, *others = (file.votes for file in files.values())
    ids = tuple(sample_id for sample_id in first if all(sample_id in other for other in others))
    if not ids:
        raise PanelError(f"no sample has out-of-fold votes of all of {', '.join(files)}; train them on the same data")
    return OutOfFoldVotes(
        ids=ids,
        truth=np.array([taxonomy.index(first[sample_id].label) for sample_id in ids]),
        votes={
            name: np.array([file.votes[sample_id].probabilities for sample_id in ids], dtype=np.float64)
            for name, file in files.items()
        },
        costs={name: file.cost for name, file in files.items()},
        evidence={name: found for name, file in files.items() if (found := _evidence(file, ids)) is not None},
    )


def _evidence(file: _VotesFile, ids: Sequence[str]) -> Array | None:
    """Each vote's evidence, (n,); None unless all of them have it."""
    told = [value for key in ids if (value := file.votes[key].evidence) is not None]
    return np.array(told) if len(told) == len(ids) else None


def _read(path: Path, name: str, taxonomy: Taxonomy) -> _VotesFile:
    body = read_model(path, _VotesFile, next_step=f"train {name!r} with mire train")
    if body.labels != taxonomy.labels:
        raise PanelError(f"{path} was cast for other labels than the panel's; train {name!r} again")
    return body
