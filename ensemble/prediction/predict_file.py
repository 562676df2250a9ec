"""Predict a data file with a panel: the journal, the submission, the side report."""

import json
import logging
import time
from dataclasses import asdict
from pathlib import Path

from ensemble.prediction.digest import panel_digest
from ensemble.prediction.engines import EngineOptions
from ensemble.prediction.runner import RunReport, RunSummary, run_workload, submission_lines
from ensemble.prediction.submission import write_lines
from ensemble.prediction.worker import Job
from ensemble.prediction.workload import Workload
from mire.atomic_files import write_text
from mire.budget import ParameterCount
from mire.errors import DataError
from mire.journal import Journal
from mire.panel_folder import PanelFolder
from mire.samples import fault_text

logger = logging.getLogger(__name__)


def predict_file(
    data: Path,
    images: Path,
    panel: Path,
    out: Path,
    *,
    engine_options: EngineOptions,
    all_columns: bool = True,
    encoding: str = "utf-8-sig",
    strict: bool = False,
) -> RunReport:
    """Write the submission and, beside it, the report and the journal that an interrupted run resumes from.

    ``all_columns``: the data file's columns before ``predict``, else ``id`` only. ``strict`` refuses degraded
    answers. Gives the report.

    Raises:
        MireError: data, panel or engine do not fit, or, with ``strict``, an answer would be degraded.
        OSError: the disk is full, or a file cannot be written.
    """
    started = time.monotonic()
    if out.is_dir():
        raise DataError(f"--out must be the CSV to write, but {out} is a folder")
    engine_options.check()
    folder, journal = PanelFolder(panel), Journal(out.with_name(f"{out.name}.journal"))
    limit = folder.settings().max_decoded_pixels
    with Workload.read(data, images, max_decoded_pixels=limit) as work:
        if strict and (faults := work.faults()):
            raise DataError(fault_text(data, faults))
        with journal.opened():
            with engine_options.opened(Job(panel.absolute(), work.tasks)) as engine:
                loaded, digest = engine.loaded, panel_digest(folder, engine.loaded.device)
                ready = time.monotonic()
                seconds = run_workload(work, engine, journal, digest, strict=strict)
            summary = RunSummary()
            columns = work.columns if all_columns else ["id"]
            write_lines(out, submission_lines(work, journal, digest, summary), columns, encoding=encoding)
            stages = {"reading and loading": ready - started, **seconds, "all": time.monotonic() - started}
            report = summary.report(loaded.parameters, stages)
            text = json.dumps(asdict(report), ensure_ascii=False, indent=2)
            write_text(out.with_suffix(".report.json"), text + "\n")
    times = ", ".join(f"{stage} {taken:.1f} s" for stage, taken in stages.items())
    logger.info(f"time: {times}; {summary.rows / stages['all']:.1f} rows a second")
    logger.info(
        f"{out}: {summary.rows} rows, {len(summary.degraded)} degraded, at most {summary.max_calls} calls and "
        f"{summary.max_output_tokens} output tokens a sample, {ParameterCount(loaded.parameters).total:,} parameters"
    )
    return report
