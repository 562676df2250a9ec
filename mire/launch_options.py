"""The command-line options for training on several devices."""

import argparse
from typing import Literal, get_args

Kind = Literal["ddp", "fsdp"]
"""``ddp``: every device holds the whole base. ``fsdp``: each holds a part, and layers are gathered one by one."""

KINDS: tuple[Kind, ...] = get_args(Kind)


def add_launch(target: argparse.ArgumentParser) -> None:
    """Add ``--launch`` and ``--devices``."""
    target.add_argument("--launch", choices=KINDS, default="ddp", help="how several devices share a training")
    target.add_argument("--devices", type=_at_least_one, help="GPUs, or processes on a CPU; all GPUs, or one process")


def _at_least_one(word: str) -> int:
    if not word.isdecimal() or int(word) < 1:
        raise argparse.ArgumentTypeError(f"a whole number from 1 on, got {word!r}")
    return int(word)
