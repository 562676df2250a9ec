"""Blend predictions with probabilities: their plain mean, or with labelled samples a fitted vote, judged out of fold.

    python -m ensemble.blend a.csv b.csv --out blended.csv
    python -m ensemble.blend dev-a.csv dev-b.csv --truth dev.json --to test-a.csv test-b.csv --out blended.csv

Reads what ``predict --probabilities`` has written. A blend costs what its panels cost together, which may break the
challenge's rule: this is printed. The last line names what differs from the best file beyond noise.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path

from mire.cli import run, say
from mire.errors import UsageError

_MOST_FITTED = 6
"""Files that weights are fitted for: the combinations that are tried grow as a power of them."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a CSV of predict --probabilities")
    parser.add_argument("--out", type=Path, required=True, help="the submission to write, with id and predict")
    parser.add_argument("--probabilities", type=Path, help="a CSV for the blend's own probabilities")
    parser.add_argument(
        "--truth", type=Path, help="the files' samples with their labels, which no panel was trained on: fit weights"
    )
    parser.add_argument(
        "--to", nargs="+", type=Path, default=[], metavar="FILE", help="with --truth: answer these files' samples"
    )


def execute(options: argparse.Namespace) -> None:
    """Write the blend; print what it weighs and costs, and how good it is."""
    _check(options)
    from ensemble.comparison.blending import blend_files, report
    from ensemble.prediction.submission import STDOUT, SubmissionLine, write_lines
    from ensemble.voting.distributions import write_distributions

    found = blend_files(options.files, options.truth, options.to)
    write_lines(options.out, (SubmissionLine(row.id, {}, row.label) for row in found.rows), ["id"])
    if options.probabilities:
        write_distributions(options.probabilities, found.rows, found.labels)
    say(f"written: {', '.join(map(str, filter(None, (options.out, options.probabilities))))}")
    # Beside a submission on standard output there is nothing.
    (say if options.out == STDOUT else print)(report(found))


def _check(options: argparse.Namespace) -> None:
    """Refuse options that contradict each other."""
    if len(options.files) < 2:
        raise UsageError(f"a blend is of two files or more, got {options.files[0]} only")
    if options.to and (options.truth is None or len(options.to) != len(options.files)):
        raise UsageError("--to goes with --truth, and names one file for each FILE, in the same order")
    if options.truth is not None and len(options.files) > _MOST_FITTED:
        raise UsageError(f"weights are fitted for at most {_MOST_FITTED} files; blend fewer, or leave --truth out")
    paths = [options.out, options.probabilities, options.truth, *options.files, *options.to]
    for path, n in Counter(path.resolve() for path in paths if path).items():
        if n > 1:
            raise UsageError(f"{path} is named twice; every file that is read or written needs a name of its own")


if __name__ == "__main__":
    raise SystemExit(run(sys.modules[__name__]))
