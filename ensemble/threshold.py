"""Find the probability from which a panel's answers are right as often as you ask, and write it into the panel.

    python -m ensemble.threshold --panel runs/p --precision 0.95 [--confidence 0.95]

Judged on out-of-fold votes: of new samples like the training samples, at least this share of the answers at or above
the threshold is right, with this confidence. Where no threshold reaches it, that is the answer.
"""

import argparse
import sys
from pathlib import Path

from mire.cli import run, say
from mire.errors import PanelError, UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--panel", type=Path, required=True)
    parser.add_argument("--precision", type=float, required=True, help="share of answers to be right, between 0 and 1")
    parser.add_argument("--confidence", type=float, default=0.95, help="of the promise, between 0 and 1")


def execute(options: argparse.Namespace) -> None:
    """Find each task's threshold, write it, print the table."""
    for name in ("precision", "confidence"):
        if not 0 < getattr(options, name) < 1:
            raise UsageError(f"--{name} must be between 0 and 1, got {getattr(options, name)}")
    from ensemble.decisions.threshold_file import write_thresholds
    from ensemble.decisions.thresholds import fit_thresholds, table
    from mire.panel_folder import PanelFolder

    panel = PanelFolder(options.panel)
    asked = {"precision": options.precision, "confidence": options.confidence}
    found = {task: fit_thresholds(panel, task, **asked) for task in panel.trained_tasks()}
    if not found:
        raise PanelError(f"{options.panel} holds no trained experts; train some with mire train")
    for task, thresholds in found.items():
        write_thresholds(thresholds, panel, task)
    print(table(found))
    say(f"written: {', '.join(str(panel.thresholds(task)) for task in found)}")


if __name__ == "__main__":
    raise SystemExit(run(sys.modules[__name__]))
