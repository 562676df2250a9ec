"""Answer a workload with an engine; what the journal has is not answered again."""

import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ensemble.decisions.threshold_file import review_reasons
from ensemble.prediction.engines import Engine
from ensemble.prediction.progress import Progress
from ensemble.prediction.submission import SubmissionLine
from ensemble.prediction.worker import KeptAnswer
from ensemble.prediction.workload import Chunk, SampleRow, Workload
from ensemble.voting.distributions import Distribution, Labels, Spent
from mire.errors import DataError
from mire.journal import Journal
from mire.labels import Task

logger = logging.getLogger(__name__)

NEAR_TIE = 1e-3
"""Margins below this are counted as near ties: other batches may flip them where weights are bfloat16."""


def run_workload(work: Workload, engine: Engine, journal: Journal, panel: str, *, strict: bool) -> dict[str, float]:
    """Answer every sample that the open journal lacks; the seconds that each voter took, over all workers.

    ``panel`` is the panel's digest. Each finished chunk is on the disk before its answers count as finished; an answer
    without any vote is not kept for the next run.

    Raises:
        DataError: ``strict``, and an answer is degraded.
    """
    n_kept = 0
    for fingerprints in work.fingerprints(panel):
        kept = _answers(journal.finished(fingerprints))
        _refuse(kept, strict)
        n_kept += len(kept)
    if n_kept:
        logger.info(f"{n_kept}/{len(work)} samples were answered before; going on")
    progress = Progress(len(work), done=n_kept)
    seconds: dict[str, float] = defaultdict(float)
    for chunk, answered in engine.answers(_unfinished(work, journal, panel)):
        _refuse(answered.answers, strict)
        for voted in (True, False):
            found = {key: asdict(value) for key, value in answered.answers.items() if value.voted is voted}
            journal.add(found, chunk.fingerprints, kept=voted)
        progress.add(len(answered.answers))
        for voter, taken in answered.seconds.items():
            seconds[voter] += taken
    return dict(seconds)


@dataclass(frozen=True)
class NearTies:
    """Answers whose label is ahead of the next one by less than ``margin``, a difference of probabilities."""

    margin: float
    samples: int


@dataclass(frozen=True)
class RunReport:
    """What the side report of a prediction, ``NAME.report.json``, holds."""

    # lines of the submission
    rows: int
    # by sample id the reasons why an answer is degraded
    degraded: dict[str, list[str]]
    near_ties: NearTies
    # the most model calls and output tokens that were booked on one sample
    max_calls: int
    max_output_tokens: int
    # neural parameters by part of the panel
    parameters: dict[str, int]
    # by stage: reading and loading, each voter (summed over the workers), all (wall clock)
    seconds: dict[str, float]


@dataclass
class RunSummary:
    """Counts over a run's answers, and the degraded ones with their reasons by id."""

    rows: int = 0
    degraded: dict[str, list[str]] = field(default_factory=dict)
    near_ties: int = 0
    max_calls: int = 0
    max_output_tokens: int = 0

    def add(self, sample_id: str, answer: KeptAnswer) -> None:
        self.rows += 1
        if answer.problems:
            self.degraded[sample_id] = list(answer.problems)
        self.near_ties += answer.margin < NEAR_TIE
        self.max_calls = max(self.max_calls, answer.n_calls)
        self.max_output_tokens = max(self.max_output_tokens, answer.n_output_tokens)

    def report(self, parameters: Mapping[str, int], seconds: Mapping[str, float]) -> RunReport:
        """The side report: these counts, with the panel's parameters and the seconds of each stage."""
        return RunReport(
            rows=self.rows,
            degraded=dict(sorted(self.degraded.items())),
            near_ties=NearTies(NEAR_TIE, self.near_ties),
            max_calls=self.max_calls,
            max_output_tokens=self.max_output_tokens,
            parameters=dict(parameters),
            seconds={stage: round(taken, 2) for stage, taken in seconds.items()},
        )


def submission_lines(
    work: Workload,
    journal: Journal,
    panel: str,
    summary: RunSummary,
    thresholds: Mapping[Task, float | None] | None = None,
) -> Iterator[SubmissionLine]:
    """The submission's lines in the file's order, added to ``summary`` on the way; memory holds one batch of them.

    With ``thresholds``, as ``decision_thresholds`` gives them, each line has its scores.

    Raises:
        DataError: a sample has no answer.
    """
    for row, answer in _answered(work, journal, panel):
        summary.add(row.id, answer)
        scores = () if thresholds is None else _scores(answer, thresholds[row.task])
        yield SubmissionLine(row.id, row.record, answer.label, scores)


def distributions(
    work: Workload, journal: Journal, panel: str, labels: Labels, n_parameters: int
) -> Iterator[Distribution]:
    """Every label's probability for each sample, in the file's order; the panel loads ``n_parameters``.

    Raises:
        DataError: as ``submission_lines``.
    """
    for row, answer in _answered(work, journal, panel):
        shares = dict(zip(labels[row.task], answer.probabilities, strict=True))
        spent = Spent(answer.n_calls, answer.n_output_tokens, n_parameters)
        yield Distribution(row.id, row.task, shares, bool(answer.problems), spent)


def _answered(work: Workload, journal: Journal, panel: str) -> Iterator[tuple[SampleRow, KeptAnswer]]:
    for rows in work.rows(panel):
        found = _answers(journal.finished({row.id: row.fingerprint for row in rows}))
        for row in rows:
            if row.id not in found:
                raise DataError(f"every sample needs exactly one prediction, but {row.id!r} has none")
            yield row, found[row.id]


def _scores(answer: KeptAnswer, threshold: float | None) -> tuple[str | float, ...]:
    """The cells of ``SCORES``."""
    unsure = threshold is None or answer.probability < threshold
    reasons = review_reasons(unsure=unsure, familiarity=answer.familiarity)
    numbers = (round(answer.probability, 6), round(answer.margin, 6))
    familiarity = "" if answer.familiarity is None else round(answer.familiarity, 4)
    decision = "" if reasons else answer.label
    return (*numbers, answer.second, decision, int(bool(reasons)), familiarity, ", ".join(reasons))


def _unfinished(work: Workload, journal: Journal, panel: str) -> Iterator[Chunk]:
    """What is left of each chunk."""
    for chunk in work.chunks(panel):
        rest = chunk.without(journal.finished(chunk.fingerprints))
        if rest.samples:
            yield rest


def _answers(kept: Mapping[str, Any]) -> dict[str, KeptAnswer]:
    lists = ("problems", "probabilities")
    return {key: KeptAnswer(**{**body, **{name: tuple(body[name]) for name in lists}}) for key, body in kept.items()}


def _refuse(answers: Mapping[str, KeptAnswer], strict: bool) -> None:
    degraded = [f"{key!r}: {value.problems[0]}" for key, value in answers.items() if value.problems]
    if strict and degraded:
        raise DataError(f"--strict: {len(degraded)} answers are degraded (first: sample {degraded[0]})")
