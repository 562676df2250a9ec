"""Predict a test file with a panel and write the submission.

python -m ensemble.predict --data test.json --images images --panel runs/p --out submit.csv

A run that was cut off goes on where it stopped: the same command finds its journal beside the CSV.
"""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mire.cli import add_data, parser, run, say

if TYPE_CHECKING:
    from ensemble.answer import Answer

NEAR_TIE = 1e-3
"""Margins below this are counted as near ties: other batches may flip them where weights are bfloat16."""


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
    chosen = options.parse_args(argv)
    from ensemble.answer import answer
    from ensemble.fingerprint import fingerprints
    from ensemble.panel import Panel, by_task
    from ensemble.submission import write_submission
    from mire.budget import Ledger
    from mire.errors import DataError
    from mire.files import whole_file
    from mire.journal import Journal
    from mire.panel_folder import PanelFolder
    from mire.samples import fault_text, read_samples

    started = time.monotonic()
    if chosen.out.is_dir():
        raise DataError(f"--out must be the CSV to write, but {chosen.out} is a folder")
    folder = PanelFolder(chosen.panel)
    samples = read_samples(chosen.data, chosen.images, max_decoded_pixels=folder.settings().max_decoded_pixels)
    faults = [f"record {s.number}, id {s.id!r}: {problem}" for s in samples for problem in s.problems]
    if chosen.strict and faults:
        raise DataError(fault_text(chosen.data, faults))
    groups = by_task(samples)
    with Journal(chosen.out.with_name(f"{chosen.out.name}.journal")).opened() as journal:
        panel = Panel.load(chosen.panel, tuple(groups))
        ledger, loaded = Ledger(), time.monotonic()
        answers = answer(groups.values(), panel, journal, fingerprints(samples, folder), ledger, strict=chosen.strict)
        labels = {key: answer.label for key, answer in answers.items()}
        write_submission(chosen.out, samples, labels, columns=chosen.columns, encoding=chosen.encoding)
        spent = {"reading and loading": loaded - started, **ledger.seconds, "all": time.monotonic() - started}
        report = summary(answers) | {
            "parameters": dict(panel.parameters.parts),
            "seconds": {stage: round(seconds, 2) for stage, seconds in spent.items()},
        }
        with whole_file(chosen.out.with_suffix(".report.json")) as file:
            file.write(json.dumps(report, ensure_ascii=False, indent=2) + "\n")
    say("time: " + ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in spent.items()))
    say(
        f"{chosen.out}: {len(samples)} rows, {len(report['degraded'])} degraded, at most {report['max_calls']} calls "
        f"and {report['max_output_tokens']} output tokens a sample, {panel.parameters.total:,} parameters"
    )
    if chosen.json:
        sys.stdout.write(json.dumps(report, ensure_ascii=False) + "\n")


def summary(answers: "Mapping[str, Answer]") -> dict[str, Any]:
    """What the side report says of the answers: counts, and the degraded ones with their reasons by id."""
    return {
        "rows": len(answers),
        "degraded": {key: list(answer.problems) for key, answer in sorted(answers.items()) if answer.problems},
        "near_ties": {"margin": NEAR_TIE, "samples": sum(answer.margin < NEAR_TIE for answer in answers.values())},
        "max_calls": max(answer.n_calls for answer in answers.values()),
        "max_output_tokens": max(answer.n_output_tokens for answer in answers.values()),
    }


if __name__ == "__main__":
    raise SystemExit(run(main))
