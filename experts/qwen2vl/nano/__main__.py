"""Build and pre-train the miniature base `nano` afresh, as it ships (a few minutes on one core).

python -m experts.qwen2vl.nano --out experts/qwen2vl/nano/base
"""

import argparse
import sys
from pathlib import Path

from mire.cli import run, say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--out", type=Path, required=True, help="folder to write the model into")


def execute(options: argparse.Namespace) -> None:
    """Build, and write."""
    from experts.qwen2vl.nano import build_nano

    build_nano(options.out)
    say(f"{options.out}: nano, pre-trained")


if __name__ == "__main__":
    raise SystemExit(run(sys.modules[__name__]))
