"""Draw the shipped sample set: the same seed, fonts and library versions give the same bytes.

python -m samples.make --out samples --seed 7
"""

import argparse
import sys
from pathlib import Path

from mire.cli import run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--out", type=Path, default=Path("samples"), help="folder to write; its pictures are replaced")
    parser.add_argument("--seed", type=int, default=7, help="same seed, same samples")


def execute(options: argparse.Namespace) -> None:
    """Draw all samples and print how many there are."""
    from samples.maker.build import build

    print(build(options.out, options.seed))


if __name__ == "__main__":
    raise SystemExit(run(sys.modules[__name__]))
