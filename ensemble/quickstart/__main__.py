"""Train on the shipped samples, predict the shipped test set, report; after an interruption it resumes.

python -m ensemble.quickstart
"""

import argparse
import sys
from pathlib import Path

from mire.cli import run, say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--out", type=Path, default=Path("runs/quickstart"), help="folder for panels and reports")
    parser.add_argument("--page", action="store_true", help="end with a page on the trained panel")


def execute(options: argparse.Namespace) -> None:
    """Run the steps, each in a process of its own."""
    from ensemble.quickstart.steps import box, run_commands, serve, shipped, stopwatch, three_steps

    samples, clock = shipped(page=options.page), stopwatch()
    for step in three_steps(samples, options.out):
        say(f"[{clock()}] {step.title}")
        for group in step.groups:
            run_commands(group)
        if step.made:
            say(f"to look at: {', '.join(map(str, step.made))}")
    say(box(options.out, clock()))
    if options.page:
        run_commands([serve(options.out)])


if __name__ == "__main__":
    raise SystemExit(run(sys.modules[__name__]))
