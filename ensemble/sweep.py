"""Train the same data under several settings and seeds, and compare the panels on their out-of-fold votes.

    python -m ensemble.sweep image --data train.json --out runs/s --run base --run low qwen2vl.image.learning_rate=1e-4

Each run is one ``train`` per seed (``--seeds 7 1 2``) into ``OUT/NAME/seed-N``, logs for TensorBoard inside; the same
command again goes on where it stopped. ``OUT`` also gets what ``compare`` writes, against the first run.
"""

import argparse
import sys
from pathlib import Path

from mire.cli import add_config, add_data, run, say
from mire.labels import TASKS
from mire.launch_options import add_launch


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("task", choices=(*TASKS, "all"))
    add_data(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder for the panels, the tables and the figure")
    parser.add_argument(
        "--run",
        dest="runs",
        action="append",
        nargs="+",
        required=True,
        metavar=("NAME", "KEY=VALUE"),
        help="a run's name and the settings that are its own; may be repeated",
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[], help="of every run; else the configuration's")
    add_config(parser)
    add_launch(parser)


def execute(options: argparse.Namespace) -> None:
    """Train what is missing, then compare."""
    from ensemble.comparison.paired import compare
    from ensemble.comparison.sweep import plan, sweep
    from ensemble.comparison.systems import collect_answers
    from ensemble.comparison.tables import as_text, summary, write_comparison

    out, tasks = options.out, TASKS if options.task == "all" else (options.task,)
    runs = plan(options.runs, out, config=options.config, overrides=options.overrides, seeds=options.seeds)
    training = {"images": options.images, "kind": options.launch, "n_devices": options.devices}
    systems = sweep(tasks, runs, out, data=options.data, **training)
    comparison = compare(collect_answers(systems, options.data, options.images))
    say(f"written: {', '.join(map(str, write_comparison(comparison, out)))}")
    print(as_text(summary(comparison)), comparison.verdict, sep="\n\n")


if __name__ == "__main__":
    raise SystemExit(run(sys.modules[__name__]))
