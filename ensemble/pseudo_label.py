"""Train a panel again, on its surest guesses for unlabelled samples too.

    python -m ensemble.pseudo_label --data train.json --unlabelled test.json --images images --panel runs/p \\
        --out runs/p2

What voters without a fold learn from is guessed by voters that were not trained on that fold either, so that
out-of-fold votes stay unbiased. (Guesses of voters that had seen all labels raised the out-of-fold F1 of real
pictures by 0.03, and lowered it on new ones.) A task whose out-of-fold F1 does not rise by more
than noise keeps its old experts.
"""

import argparse
import sys
from pathlib import Path

from mire.cli import add_data, run
from mire.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_data(parser)
    parser.add_argument("--unlabelled", type=Path, required=True, help="file of the samples to guess")
    parser.add_argument("--panel", type=Path, required=True, help="the panel that guesses")
    parser.add_argument("--out", type=Path, required=True, help="folder of the new panel")
    parser.add_argument("--share", type=float, default=0.5, help="share of each label's guesses that is kept")


def execute(options: argparse.Namespace) -> None:
    """Guess, train again, keep what is better."""
    if not 0 < options.share <= 1:
        raise UsageError(f"--share must be above 0 and at most 1, got {options.share}")
    from ensemble.training.pseudo_labels import pseudo_label

    pseudo_label(options.data, options.unlabelled, options.images, options.panel, options.out, share=options.share)


if __name__ == "__main__":
    raise SystemExit(run(sys.modules[__name__]))
