"""Fit the vote on votes that were cast out of fold: one temperature and one weight per voter.

python -m ensemble.fit --panel runs/p [--task image]
python -m ensemble.fit --panel runs/p --task image --adapter converted --data labelled.json --images images

The second form adds an adapter that was trained elsewhere, or puts it in the place of the panel's; the labelled
samples are to be ones that it was not trained on.
"""

import argparse
import sys
from pathlib import Path

from mire.cli import run, say
from mire.errors import UsageError
from mire.labels import TASKS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--panel", type=Path, required=True)
    parser.add_argument("--task", choices=TASKS, action="append", help="one task only (default: both)")
    parser.add_argument("--adapter", type=Path, help="converted adapter that becomes the task's Qwen2-VL voter")
    parser.add_argument("--data", type=Path, help="with --adapter: labelled samples that it was not trained on")
    parser.add_argument("--images", type=Path, help="with --adapter: folder of their pictures")


def execute(options: argparse.Namespace) -> None:
    """Fit each task's vote and print it."""
    _check(options)
    from ensemble.training.added_adapter import add_adapter
    from ensemble.voting.fitting import fit_panel
    from mire.panel_folder import PanelFolder

    panel = PanelFolder(options.panel)
    for task in options.task or TASKS:
        if options.adapter:
            weights = add_adapter(panel, task, options.adapter, data=options.data, images=options.images)
        else:
            weights = fit_panel(panel, task)
        shares = ", ".join(f"{name} {w.weight:.1f} (T {w.temperature:.2f})" for name, w in weights.voters.items())
        say(f"{task}: {shares}, fitted on {weights.n_fitted} out-of-fold votes")


def _check(options: argparse.Namespace) -> None:
    """Refuse options that belong together and are not."""
    given = [bool(options.adapter), bool(options.data), bool(options.images)]
    if any(given) and not (all(given) and len(options.task or ()) == 1):
        raise UsageError("--adapter, --data, --images and one --task belong together")


if __name__ == "__main__":
    raise SystemExit(run(sys.modules[__name__]))
