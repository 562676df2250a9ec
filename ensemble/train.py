"""Train the experts of one task or both, cast their out-of-fold votes, and fit the vote.

python -m ensemble.train all --data train.json --images images --panel runs/p --config cpu
"""

import argparse
import sys
from pathlib import Path

from mire.cli import add_config, add_data, run
from mire.labels import TASKS
from mire.launch_options import add_launch


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("task", choices=(*TASKS, "all"))
    add_data(parser, required=False)
    parser.add_argument("--panel", type=Path, required=True, help="folder that becomes, or is, the panel")
    add_config(parser)
    add_launch(parser)


def execute(options: argparse.Namespace) -> None:
    """Train, as the options say."""
    from ensemble.training.train_panel import train_panel
    from mire.panel_folder import PanelFolder
    from mire.settings import load_settings

    train_panel(
        TASKS if options.task == "all" else (options.task,),
        data=options.data,
        images=options.images,
        panel=PanelFolder(options.panel),
        settings=load_settings(options.config, options.overrides),
        kind=options.launch,
        n_devices=options.devices,
    )


if __name__ == "__main__":
    raise SystemExit(run(sys.modules[__name__]))
