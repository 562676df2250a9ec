"""Average LoRA adapters of one task into one: no further call, one adapter to load.

    python -m experts.qwen2vl.merge ADAPTER ADAPTER ... --out FOLDER [--rank 32]

The mean is taken of what the adapters add to a weight, ``scale * B @ A``, not of A and B apart. Stacking
the factors keeps it exact at the sum of the ranks; ``--rank`` then keeps the largest singular directions.
"""

import argparse
import sys
from pathlib import Path

from mire.cli import run, say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("adapters", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True, help="folder of the new adapter")
    parser.add_argument("--rank", type=int, help="rank of the new adapter (default: the sum of the ranks, exact)")


def execute(options: argparse.Namespace) -> None:
    """Write the average."""
    from experts.qwen2vl.adapters.averaging import merge_adapters

    merge_adapters(options.adapters, options.out, rank=options.rank)
    say(f"{options.out}: the average of {len(options.adapters)} adapters")


if __name__ == "__main__":
    raise SystemExit(run(sys.modules[__name__]))
