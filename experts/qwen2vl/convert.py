"""Convert an adapter that was trained elsewhere: by LLaMA-Factory, or with transformers before 4.52.

    python -m experts.qwen2vl.convert --adapter old --out converted --task image --config qwen2-vl-7b

Old versions name Qwen2-VL's modules differently; such a folder loads without an error and has no effect. The
new folder declares what the settings say (layout, pixel limits, labels), so name the configuration that the
adapter was trained for. It is loaded once before it appears under ``--out``; ``mire fit --adapter`` then makes it a
voter of a panel.
"""

import argparse
import sys
from pathlib import Path

from mire.cli import add_config, run, say
from mire.labels import TASKS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--adapter", type=Path, required=True, help="PEFT folder to convert")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--task", choices=TASKS, required=True)
    parser.add_argument(
        "--resize",
        choices=("qwen2vl", "llamafactory"),
        help="whose picture sizes it was trained with (default: as the settings say)",
    )
    add_config(parser)


def execute(options: argparse.Namespace) -> None:
    """Write the converted folder."""
    from experts.qwen2vl.adapters.conversion import convert
    from mire.settings import load_settings

    resize = [f"qwen2vl.resize={options.resize}"] if options.resize else []
    settings = load_settings(options.config, [*options.overrides, *resize])
    convert(options.adapter, options.out, task=options.task, settings=settings)
    say(f"{options.out}: converted, and it loads on its base; mire fit --adapter makes it a voter of a panel")


if __name__ == "__main__":
    raise SystemExit(run(sys.modules[__name__]))
