"""Show which words decide: of some samples, or of every label in general.

    python -m ensemble.explain --panel runs/p
    python -m ensemble.explain --panel runs/p --data test.json --images images [--id ID ...]

Prints one JSON line per sample, or per label. Voters that read text name their words, with what each adds to the
label's logit; the others give their first labels only.
"""

import argparse
import sys
from pathlib import Path

from mire.cli import add_show_private, print_json, run
from mire.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--panel", type=Path, required=True)
    parser.add_argument("--data", type=Path, help="samples to explain (default: explain every label)")
    parser.add_argument("--images", type=Path, help="folder of the pictures (default: the data's)")
    parser.add_argument("--id", action="append", help="explain these samples only")
    add_show_private(parser)


def execute(options: argparse.Namespace) -> None:
    """Print the explanations as they are found."""
    from ensemble.evaluation.explanations import explain_file, explain_labels
    from mire.privacy.masking import hider

    hide = hider(show_private=options.show_private)
    if options.data is None:
        if options.id:
            raise UsageError("--id names samples of a file: give --data too")
        lines = explain_labels(options.panel, hide=hide)
    else:
        images = options.images or options.data.parent
        lines = explain_file(options.panel, options.data, images, ids=options.id, hide=hide)
    for line in lines:
        print_json(line)


if __name__ == "__main__":
    raise SystemExit(run(sys.modules[__name__]))
