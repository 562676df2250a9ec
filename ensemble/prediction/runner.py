"""Answer a workload with an engine; what the journal has is not answered again."""

import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ensemble.prediction.engines import Engine
from ensemble.prediction.progress import Progress
from ensemble.prediction.submission import Line
from ensemble.prediction.worker import Answer
from ensemble.prediction.workload import Chunk, Workload
from mire.errors import DataError
from mire.journal import Journal

logger = logging.getLogger(__name__)

NEAR_TIE = 1e-3
"""Margins below this are counted as near ties: other batches may flip them where weights are bfloat16."""


def run_workload(work: Workload, engine: Engine, journal: Journal, panel: str, *, strict: bool) -> dict[str, float]:
    """Answer every sample that the open journal lacks; the seconds that each voter took, over all workers.

    ``panel`` is the panel's digest. Each finished chunk is on the disk before its answers count as finished.

    Raises:
        DataError: ``strict``, and an answer is degraded.
    """
    n_kept = 0
    for some in work.fingerprints(panel):
        kept = _answers(journal.finished(some))
        _refuse(kept, strict)
        n_kept += len(kept)
    if n_kept:
        logger.info(f"{n_kept}/{len(work)} samples were answered before; going on")
    progress = Progress(len(work), done=n_kept)
    seconds: dict[str, float] = defaultdict(float)
    for chunk, answered in engine.answers(_unfinished(work, journal, panel)):
        _refuse(answered.answers, strict)
        journal.add({key: asdict(value) for key, value in answered.answers.items()}, chunk.fingerprints)
        progress.add(len(answered.answers))
        for voter, spent in answered.seconds.items():
            seconds[voter] += spent
    return dict(seconds)


@dataclass
class RunSummary:
    """What the side report says of the answers: counts, and the degraded ones with their reasons by id."""

    rows: int = 0
    degraded: dict[str, list[str]] = field(default_factory=dict)
    near_ties: int = 0
    max_calls: int = 0
    max_output_tokens: int = 0

    def add(self, sample_id: str, one: Answer) -> None:
        self.rows += 1
        if one.problems:
            self.degraded[sample_id] = list(one.problems)
        self.near_ties += one.margin < NEAR_TIE
        self.max_calls = max(self.max_calls, one.n_calls)
        self.max_output_tokens = max(self.max_output_tokens, one.n_output_tokens)

    @property
    def report(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "degraded": dict(sorted(self.degraded.items())),
            "near_ties": {"margin": NEAR_TIE, "samples": self.near_ties},
            "max_calls": self.max_calls,
            "max_output_tokens": self.max_output_tokens,
        }


def submission_lines(work: Workload, journal: Journal, panel: str, tally: RunSummary) -> Iterator[Line]:
    """The submission's lines in the file's order, counted on the way; some rows are held at a time.

    Raises:
        DataError: a sample has no answer.
    """
    for rows in work.rows(panel):
        found = _answers(journal.finished({row.id: row.fingerprint for row in rows}))
        for row in rows:
            if row.id not in found:
                raise DataError(f"every sample needs exactly one prediction, but {row.id!r} has none")
            tally.add(row.id, found[row.id])
            yield Line(row.id, row.record, found[row.id].label)


def _unfinished(work: Workload, journal: Journal, panel: str) -> Iterator[Chunk]:
    """What is left of each chunk."""
    for chunk in work.chunks(panel):
        rest = chunk.without(journal.finished(chunk.fingerprints))
        if rest.samples:
            yield rest


def _answers(kept: Mapping[str, Any]) -> dict[str, Answer]:
    return {key: Answer(**{**body, "problems": tuple(body["problems"])}) for key, body in kept.items()}


def _refuse(answers: Mapping[str, Answer], strict: bool) -> None:
    degraded = [f"{key!r}: {value.problems[0]}" for key, value in answers.items() if value.problems]
    if strict and degraded:
        raise DataError(f"--strict: {len(degraded)} answers are degraded (first: sample {degraded[0]})")
