"""Predict a test file with a panel and write the submission.

python -m ensemble.predict --data test.json --images images --panel runs/p --out submit.csv
"""

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from mire.cli import add_data, parser, run, say
from mire.samples import Sample

CHUNK = 512
"""Samples that are voted on together: bounds memory, and is what progress counts in."""


def main(argv: Sequence[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    options = parser("ensemble.predict", "Predict a test file with a panel and write the submission CSV.")
    add_data(options)
    options.add_argument("--panel", type=Path, required=True)
    options.add_argument("--out", type=Path, required=True, help="the CSV to write; its report goes beside it")
    options.add_argument("--columns", choices=("all", "id"), default="all", help="the test file's columns, or id only")
    options.add_argument("--encoding", choices=("utf-8-sig", "utf-8"), default="utf-8-sig", help="with or without BOM")
    chosen = options.parse_args(argv)
    from mire.samples import read_samples

    samples = read_samples(chosen.data, chosen.images)
    from ensemble.panel import Panel, by_task
    from ensemble.submission import write_submission
    from mire.budget import Ledger
    from mire.votes import Prediction

    groups = by_task(samples)
    panel = Panel.load(chosen.panel, tuple(groups))
    started, ledger = time.monotonic(), Ledger()
    predictions: list[Prediction] = []
    for chunk in _chunks([sample for group in groups.values() for sample in group]):
        predictions += panel.predict(chunk, ledger)
        _progress(len(predictions), len(samples), started)
    labels = {prediction.sample_id: prediction.label for prediction in predictions}
    write_submission(chosen.out, samples, labels, columns=chosen.columns, encoding=chosen.encoding)
    degraded = {p.sample_id: list(p.problems) for p in predictions if p.problems}
    summary = {
        "rows": len(samples),
        "degraded": degraded,
        "max_calls": max(p.n_calls for p in predictions),
        "max_output_tokens": max(p.n_output_tokens for p in predictions),
        "parameters": dict(panel.parameters.parts),
        "seconds": round(time.monotonic() - started, 2),
    }
    report = chosen.out.with_suffix(".report.json")
    report.write_text(json.dumps(summary, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    say(
        f"{chosen.out}: {len(samples)} rows, {len(degraded)} degraded, at most {summary['max_calls']} calls and "
        f"{summary['max_output_tokens']} output tokens a sample, {panel.parameters.total:,} parameters, "
        f"{summary['seconds']} s"
    )


def _chunks(samples: Sequence[Sample]) -> Iterator[Sequence[Sample]]:
    for start in range(0, len(samples), CHUNK):
        yield samples[start : start + CHUNK]


def _progress(done: int, total: int, started: float) -> None:
    seconds = max(time.monotonic() - started, 1e-9)
    say(f"{done}/{total} samples, {done / seconds:.1f} a second")


if __name__ == "__main__":
    raise SystemExit(run(main))
