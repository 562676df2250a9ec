"""Merge what people said in Label Studio about a queue (``predict --review``) into a training file.

    python -m ensemble.review --tasks export.json --data test.json --out train.json

Labels that the data file has are never replaced in silence, and disagreements are listed beside the new file.
"""

import argparse
import sys
from pathlib import Path

from mire.cli import add_data, run, say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--tasks", type=Path, required=True, help="Label Studio's export, format JSON")
    add_data(parser, images=False)
    parser.add_argument("--out", type=Path, required=True, help="the training file to write")
    parser.add_argument("--replace", action="store_true", help="let labels that all people agree on replace the file's")


def execute(options: argparse.Namespace) -> None:
    """Write both files, and count."""
    from ensemble.decisions.reviewed import merge_reviewed

    n_written, differing = merge_reviewed(options.tasks, options.data, options.out, replace=options.replace)
    say(f"{options.out}: {n_written} labelled samples")
    say(f"{options.out.with_suffix('.disagreements.json')}: {len(differing)} samples on which labels differ")


if __name__ == "__main__":
    raise SystemExit(run(sys.modules[__name__]))
