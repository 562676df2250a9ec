"""Write a panel to share: what a prediction needs and a card, without training samples and paths of this machine.

    python -m ensemble.export --panel runs/p --out FOLDER
    python -m ensemble.export --panel runs/p --task image --out FOLDER

With ``--task`` the task's Qwen2-VL adapter alone, as a folder that plain transformers and PEFT load.
"""

import argparse
import sys
from pathlib import Path

from mire.cli import run, say
from mire.labels import TASKS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--panel", type=Path, required=True)
    parser.add_argument("--task", choices=TASKS, help="export this task's Qwen2-VL adapter alone")
    parser.add_argument("--out", type=Path, required=True, help="a new folder")


def execute(options: argparse.Namespace) -> None:
    """Write the folder."""
    from ensemble.training.adapter_export import export_adapter
    from ensemble.training.panel_export import export_panel
    from mire.panel_folder import PanelFolder

    if options.task is None:
        export_panel(PanelFolder(options.panel), options.out)
        say(f"{options.out}: the panel as it predicts, and its card; nothing of the samples that it was trained on")
    else:
        export_adapter(PanelFolder(options.panel), options.task, options.out)
        say(f"{options.out}: the {options.task} adapter, its labels and its card")


if __name__ == "__main__":
    raise SystemExit(run(sys.modules[__name__]))
