"""Compare predictions or panels on the same labelled samples: intervals, McNemar's test, tables and figures.

    python -m ensemble.compare a.csv b.csv --truth test.json --out reports/ab
    python -m ensemble.compare old=runs/old-1,runs/old-2 new=runs/new-1,runs/new-2 --truth train.json

A panel is judged on samples that it was trained on by its out-of-fold votes. The last line names what differs from the
first system beyond noise.
"""

import argparse
import sys
from pathlib import Path

from mire.cli import run, say
from mire.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "systems",
        nargs="+",
        metavar="SYSTEM",
        help="a CSV with id and predict, or a panel; or NAME=RUN,RUN: several of them, as of other seeds; the first "
        "system is what the others are compared with",
    )
    parser.add_argument("--truth", type=Path, required=True, help="labelled data file")
    parser.add_argument("--images", type=Path, help="for panels: folder of the pictures (default: the truth's)")
    parser.add_argument("--out", type=Path, help="folder for compare.csv, .md, .tex, .svg and .pdf")


def execute(options: argparse.Namespace) -> None:
    """Print the tables and the verdict, and write the files."""
    from ensemble.comparison.paired import compare
    from ensemble.comparison.systems import System, collect_answers
    from ensemble.comparison.tables import as_text, by_label, summary, write_comparison

    systems = [System.parse(text) for text in options.systems]
    if len({system.name for system in systems}) < len(systems):
        raise UsageError("every system needs a name of its own: NAME=RUN")
    comparison = compare(collect_answers(systems, options.truth, options.images or options.truth.parent))
    if options.out:
        say(f"written: {', '.join(map(str, write_comparison(comparison, options.out)))}")
    print(as_text(by_label(comparison)), as_text(summary(comparison)), comparison.verdict, sep="\n\n")


if __name__ == "__main__":
    raise SystemExit(run(sys.modules[__name__]))
