"""Predict a data file with a panel: the journal, the submission, the side report."""

import json
import logging
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from ensemble.decisions.review_queue import Doubtful, write_queues
from ensemble.decisions.thresholds import decision_thresholds
from ensemble.prediction.digest import panel_digest
from ensemble.prediction.engines import EngineOptions
from ensemble.prediction.outputs import Outputs
from ensemble.prediction.runner import RunReport, RunSummary, distributions, run_workload, submission_lines
from ensemble.prediction.submission import Columns, SubmissionLine, write_lines
from ensemble.prediction.worker import Job
from ensemble.prediction.workload import Workload
from ensemble.voting.distributions import write_distributions
from mire.atomic_files import write_text
from mire.budget import ParameterCount
from mire.errors import DataError
from mire.panel_folder import PanelFolder
from mire.privacy.masking import Hide, mask
from mire.samples import fault_text

logger = logging.getLogger(__name__)


def predict_file(
    data: Path,
    images: Path,
    panel: Path,
    outputs: Outputs,
    *,
    engine_options: EngineOptions,
    overrides: tuple[str, ...] = (),
    columns: Columns = "all",
    precision: float | None = None,
    encoding: str = "utf-8-sig",
    strict: bool = False,
    for_excel: bool = False,
    review: Path | None = None,
    hide: Hide = mask,
) -> RunReport:
    """Write the submission, the report, the journal that an interrupted run resumes from, the probabilities if asked.

    ``overrides`` are those of ``PanelFolder``. ``precision`` (0 to 1; None: by the panel's own thresholds) is for the
    scores' ``decision``. ``strict`` refuses degraded answers. ``for_excel`` guards cells as ``write_lines`` says.
    Answers that are not decided are queued in the folder ``review``, with private text hidden by ``hide``. Gives the
    report.

    Raises:
        MireError: data, panel or engine do not fit, or, with ``strict``, an answer would be degraded.
        OSError: the disk is full, or a file cannot be written.
    """
    started = time.monotonic()
    outputs.check(data, images, panel)
    if review is not None and review.resolve().is_relative_to(panel.resolve()):
        raise DataError(f"{review} lies in the panel, which is shared; name a folder beside it with --review")
    engine_options.check()
    folder = PanelFolder(panel, overrides)
    settings, labels = folder.settings(), folder.taxonomies()
    limit = settings.max_decoded_pixels
    with Workload.read(data, images, max_decoded_pixels=limit, taxonomies=labels) as work:
        if strict and (faults := work.faults()):
            raise DataError(fault_text(data, faults))
        scores = columns == "scores"
        thresholds = decision_thresholds(folder, work.tasks, precision) if scores or review else None
        with outputs.opened_journal() as journal:
            with engine_options.opened(Job(panel.absolute(), work.tasks, overrides)) as engine:
                loaded = engine.loaded
                digest = panel_digest(settings, loaded.panel, loaded.device)
                ready = time.monotonic()
                seconds = run_workload(work, engine, journal, digest, strict=strict)
            summary = RunSummary()
            names = ["id"] if columns == "id" else work.columns
            doubtful: list[Doubtful] = []
            lines = _noting(submission_lines(work, journal, digest, summary, thresholds), doubtful)
            write_lines(outputs.csv, lines, names, encoding=encoding, for_excel=for_excel, scores=scores)
            if outputs.probabilities is not None:
                answered = {task: labels[task].labels for task in work.tasks}
                n_parameters = ParameterCount(loaded.parameters).total
                found = distributions(work, journal, digest, answered, n_parameters)
                write_distributions(outputs.probabilities, found, answered)
            if review is not None:
                groups = ((chunk.task, chunk.samples) for chunk in work.chunks(digest))
                write_queues(groups, doubtful, folder, review, hide=hide)
            stages = {"reading and loading": ready - started, **seconds, "all": time.monotonic() - started}
            report = summary.report(loaded.parameters, stages)
            if outputs.report is not None:
                write_text(outputs.report, json.dumps(asdict(report), ensure_ascii=False, indent=2) + "\n")
    times = ", ".join(f"{stage} {taken:.1f} s" for stage, taken in stages.items())
    logger.info(f"time: {times}; {summary.rows / stages['all']:.1f} rows per second")
    logger.info(
        f"{outputs.csv}: {summary.rows} rows, {len(summary.degraded)} degraded, at most {summary.max_calls} calls and "
        f"{summary.max_output_tokens} output tokens per sample, {ParameterCount(loaded.parameters).total:,} parameters"
    )
    return report


def _noting(lines: Iterable[SubmissionLine], doubtful: list[Doubtful]) -> Iterator[SubmissionLine]:
    """The lines, while those that a person should look at are noted; lines without scores are none of them."""
    for line in lines:
        if line.scores and line.scores[-1]:
            probability, margin, second, *_, reasons = line.scores
            found = Doubtful(line.id, line.label, float(probability), float(margin), str(second), str(reasons))
            doubtful.append(found)
        yield line
