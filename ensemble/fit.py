"""Fit the vote on votes that were cast out of fold: one temperature and one weight per voter.

python -m ensemble.fit --panel runs/p [--task image]
"""

import argparse
import sys
from pathlib import Path

from mire.cli import run, say
from mire.labels import TASKS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--panel", type=Path, required=True)
    parser.add_argument("--task", choices=TASKS, action="append", help="one task only (default: both)")


def execute(options: argparse.Namespace) -> None:
    """Fit each task's vote and print it."""
    from ensemble.fitting import fit_panel
    from mire.panel_folder import PanelFolder

    for task in options.task or TASKS:
        weights = fit_panel(PanelFolder(options.panel), task)
        shares = ", ".join(f"{name} {w.weight:.1f} (T {w.temperature:.2f})" for name, w in weights.voters.items())
        say(f"{task}: {shares}, fitted on {weights.n_fitted} out-of-fold votes")


if __name__ == "__main__":
    raise SystemExit(run(sys.modules[__name__]))
