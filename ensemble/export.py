"""Write a Qwen2-VL adapter as a folder that plain transformers and PEFT load, without this project.

python -m ensemble.export --panel runs/p --task image --out FOLDER
"""

import argparse
import sys
from pathlib import Path

from mire.cli import run, say
from mire.labels import TASKS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--panel", type=Path, required=True)
    parser.add_argument("--task", choices=TASKS, required=True)
    parser.add_argument("--out", type=Path, required=True, help="a new folder")


def execute(options: argparse.Namespace) -> None:
    """Write the folder."""
    from ensemble.training.adapter_export import export_adapter
    from mire.panel_folder import PanelFolder

    export_adapter(PanelFolder(options.panel), options.task, options.out)
    say(f"{options.out}: the {options.task} adapter, its labels and its card")


if __name__ == "__main__":
    raise SystemExit(run(sys.modules[__name__]))
