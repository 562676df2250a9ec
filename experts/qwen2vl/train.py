"""Train one task's LoRA adapter: one that leaves a fold out, or the final one.

    accelerate launch -m experts.qwen2vl.train --panel runs/p --task image --data train.json --images images \\
        --out FOLDER --fold 0

The panel folder must hold the settings, the labels and the folds (``ensemble.train`` writes them). With
``--fold`` that fold is left out, and F1 on it is logged. With ``--epochs`` the adapter is trained on all folds
for so long, from the adapter ``--start`` on, if there is one. ``--seed`` takes the place of the settings'.
"""

import argparse
import sys
from pathlib import Path

from mire.cli import add_data, run
from mire.labels import TASKS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_data(parser)
    parser.add_argument("--panel", type=Path, required=True, help="panel folder with settings and folds")
    parser.add_argument("--task", choices=TASKS, required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder of the adapter")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--fold", type=int, help="leave this fold out, and log F1 on it")
    what.add_argument("--epochs", type=float, help="train on all folds for so many epochs")
    parser.add_argument("--start", type=Path, help="folder of the adapter to continue (default: a new one)")
    parser.add_argument("--seed", type=int, help="seed of the order and the dropout (default: the settings')")
    parser.add_argument("--sharded", action="store_true", help="cut the base into one part per process (FSDP2)")


def execute(options: argparse.Namespace) -> None:
    """Train in this process, which is one of those that accelerate started."""
    from experts.qwen2vl.training.trainer import train_in_panel
    from mire.panel_folder import PanelFolder

    train_in_panel(
        PanelFolder(options.panel),
        options.task,
        data=options.data,
        images=options.images,
        folder=options.out,
        fold=options.fold,
        n_epochs=options.epochs,
        start=options.start,
        seed=options.seed,
        sharded=options.sharded,
    )


if __name__ == "__main__":
    raise SystemExit(run(sys.modules[__name__]))
