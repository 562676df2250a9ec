"""Predict a data file with a panel and write the submission CSV.

python -m ensemble.predict --data test.json --images images --panel runs/p --out submit.csv

An interrupted run resumes: the same command finds its journal beside the CSV.
"""

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

from mire.cli import add_data, add_overrides, add_show_private, print_json, run
from mire.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_data(parser)
    parser.add_argument("--panel", type=Path, required=True)
    parser.add_argument(
        "--out", type=Path, required=True, help="the CSV to write, report and journal beside it; - for stdout"
    )
    parser.add_argument("--report", type=Path, help="the report to write, where it is not to go beside the CSV")
    parser.add_argument("--journal", type=Path, help="the journal to keep, where it is not to go beside the CSV")
    parser.add_argument(
        "--probabilities", type=Path, help="a CSV for every label's probability per sample, which mire blend reads"
    )
    parser.add_argument(
        "--columns",
        choices=("all", "id", "scores"),
        default="all",
        help="the test file's columns, id only, or all and how sure each answer is",
    )
    parser.add_argument(
        "--precision", type=float, help="for scores and --review: decide what is right this often, else ask a person"
    )
    parser.add_argument("--review", type=Path, help="folder for what people should look at, as Label Studio tasks")
    add_show_private(parser)
    parser.add_argument("--encoding", choices=("utf-8-sig", "utf-8"), default="utf-8-sig", help="with or without BOM")
    parser.add_argument("--for-excel", action="store_true", help="guard ids and texts against being read as formulas")
    parser.add_argument("--strict", action="store_true", help="refuse samples that could only be answered degraded")
    parser.add_argument("--json", action="store_true", help="print the report to stdout too")
    add_overrides(parser, "compute otherwise, as qwen2vl.dtype=bfloat16 or qwen2vl.token_budget=8192")
    parser.add_argument("--devices", type=int, default=1, help="processes: one per GPU, or sharing the cores")
    parser.add_argument("--engine", choices=("local", "ray"), default="local", help="this machine, or a Ray cluster")
    parser.add_argument("--address", help="with --engine ray: the cluster's (auto, or HOST:PORT); else one is started")
    parser.add_argument("--workers", type=int, help="with --engine ray: how many (default: one per GPU, or per core)")


def execute(options: argparse.Namespace) -> None:
    """Write CSV and report; print the report where it is asked for."""
    _check(options)
    from ensemble.prediction.engines import EngineOptions
    from ensemble.prediction.outputs import Outputs
    from ensemble.prediction.predict_file import predict_file
    from mire.privacy.masking import hider

    report = predict_file(
        options.data,
        options.images,
        options.panel,
        Outputs.named(options.out, options.report, options.journal, options.probabilities),
        engine_options=EngineOptions(options.engine == "ray", options.devices, options.workers, options.address),
        overrides=tuple(options.overrides),
        columns=options.columns,
        precision=options.precision,
        encoding=options.encoding,
        strict=options.strict,
        for_excel=options.for_excel,
        review=options.review,
        hide=hider(show_private=options.show_private),
    )
    if options.json:
        print_json(asdict(report))


def _check(options: argparse.Namespace) -> None:
    """Refuse options that contradict each other."""
    if options.json and str(options.out) == "-":
        raise UsageError("--json and --out - both write to stdout; name a file for one of them (--report, --out)")
    if options.precision is not None:
        if options.columns != "scores" and options.review is None:
            raise UsageError("--precision decides what --columns scores and --review show; give one of them too")
        if not 0 < options.precision < 1:
            raise UsageError(f"--precision must be between 0 and 1, got {options.precision}")
    ray = options.engine == "ray"
    if ray and options.devices != 1:
        raise UsageError("--devices is for --engine local; a Ray cluster has --workers")
    if not ray and (options.address is not None or options.workers is not None):
        raise UsageError("--address and --workers are for --engine ray; this machine has --devices")
    for name in ("devices", "workers"):
        if getattr(options, name) is not None and getattr(options, name) < 1:
            raise UsageError(f"--{name} must be at least 1, got {getattr(options, name)}")


if __name__ == "__main__":
    raise SystemExit(run(sys.modules[__name__]))
