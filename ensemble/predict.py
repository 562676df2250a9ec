"""Predict a test file with a panel and write the submission.

python -m ensemble.predict --data test.json --images images --panel runs/p --out submit.csv

A run that was cut off goes on where it stopped: the same command finds its journal beside the CSV.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mire.cli import add_data, parser, run, say

if TYPE_CHECKING:
    from ensemble.engine import Choice


def main(argv: Sequence[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    options = parser("ensemble.predict", "Predict a test file with a panel and write the submission CSV.")
    add_data(options)
    options.add_argument("--panel", type=Path, required=True)
    options.add_argument("--out", type=Path, required=True, help="the CSV to write; report and journal go beside it")
    options.add_argument("--columns", choices=("all", "id"), default="all", help="the test file's columns, or id only")
    options.add_argument("--encoding", choices=("utf-8-sig", "utf-8"), default="utf-8-sig", help="with or without BOM")
    options.add_argument("--strict", action="store_true", help="refuse samples that could only be answered degraded")
    options.add_argument("--json", action="store_true", help="print the report to stdout too")
    _add_engine(options)
    chosen = options.parse_args(argv)
    report = predict(chosen, _choice(options, chosen))
    if chosen.json:
        sys.stdout.write(json.dumps(report, ensure_ascii=False) + "\n")


def _add_engine(options: argparse.ArgumentParser) -> None:
    options.add_argument("--devices", type=int, default=1, help="processes: one a GPU, or sharing the cores")
    options.add_argument("--engine", choices=("local", "ray"), default="local", help="this machine, or a Ray cluster")
    options.add_argument("--address", help="with --engine ray: the cluster's (auto, or HOST:PORT); else one is started")
    options.add_argument(
        "--workers", type=int, help="with --engine ray: how many; one a GPU, or one a core, if not said"
    )


def _choice(options: argparse.ArgumentParser, chosen: argparse.Namespace) -> "Choice":
    """The engine that is asked for; options that contradict each other end with exit code 2."""
    from ensemble.engine import Choice

    ray = chosen.engine == "ray"
    if ray and chosen.devices != 1:
        options.error("--devices is for --engine local; a Ray cluster has --workers")
    if not ray and (chosen.address is not None or chosen.workers is not None):
        options.error("--address and --workers are for --engine ray; this machine has --devices")
    for name in ("devices", "workers"):
        if getattr(chosen, name) is not None and getattr(chosen, name) < 1:
            options.error(f"--{name} must be at least 1, got {getattr(chosen, name)}")
    return Choice(ray=ray, devices=chosen.devices, workers=chosen.workers, address=chosen.address)


def predict(chosen: argparse.Namespace, choice: "Choice") -> dict[str, Any]:
    """Write CSV and report as the command line asks; the report."""
    from ensemble.answer import Tally, answer, merged
    from ensemble.fingerprint import panel_digest
    from ensemble.submission import write_lines
    from ensemble.worker import Job
    from ensemble.workload import Workload
    from mire.budget import ParameterCount
    from mire.errors import DataError
    from mire.journal import Journal
    from mire.panel_folder import PanelFolder
    from mire.samples import fault_text

    started = time.monotonic()
    if chosen.out.is_dir():
        raise DataError(f"--out must be the CSV to write, but {chosen.out} is a folder")
    choice.check()
    folder, journal = PanelFolder(chosen.panel), Journal(chosen.out.with_name(f"{chosen.out.name}.journal"))
    limit = folder.settings().max_decoded_pixels
    with Workload.read(chosen.data, chosen.images, max_decoded_pixels=limit) as work:
        if chosen.strict and (faults := work.faults()):
            raise DataError(fault_text(chosen.data, faults))
        with journal.opened():
            with choice.opened(Job(chosen.panel.absolute(), work.tasks)) as engine:
                loaded, panel = engine.loaded, panel_digest(folder, engine.loaded.device)
                ready = time.monotonic()
                seconds = answer(work, engine, journal, panel, strict=chosen.strict)
            tally = Tally()
            columns = work.columns if chosen.columns == "all" else ["id"]
            write_lines(chosen.out, merged(work, journal, panel, tally), columns, encoding=chosen.encoding)
            spent = {"reading and loading": ready - started, **seconds, "all": time.monotonic() - started}
            report = tally.report | {
                "parameters": dict(loaded.parameters),
                "seconds": {stage: round(taken, 2) for stage, taken in spent.items()},
            }
            _write_report(chosen.out.with_suffix(".report.json"), report)
    told = ", ".join(f"{stage} {taken:.1f} s" for stage, taken in spent.items())
    say(f"time: {told}; {tally.rows / spent['all']:.1f} rows a second")
    say(
        f"{chosen.out}: {tally.rows} rows, {len(tally.degraded)} degraded, at most {tally.max_calls} calls "
        f"and {tally.max_output_tokens} output tokens a sample, {ParameterCount(loaded.parameters).total:,} parameters"
    )
    return report


def _write_report(path: Path, report: dict[str, Any]) -> None:
    from mire.files import whole_file

    with whole_file(path) as file:
        file.write(json.dumps(report, ensure_ascii=False, indent=2) + "\n")


if __name__ == "__main__":
    raise SystemExit(run(main))
