"""Check a data file and its pictures before a long run; every fault is listed.

    python -m mire.validate --data train.json --images images [--config mine.yaml]

With ``--config`` the labels and the picture limit are those of its settings, otherwise the challenge's.
"""

import argparse
import sys

from mire.cli import add_config, add_data, run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_data(parser)
    add_config(parser)


def execute(options: argparse.Namespace) -> None:
    """Print every fault, then the labels with their counts."""
    from mire.data_faults import report_faults
    from mire.settings import load_settings

    settings = load_settings(options.config, options.overrides)
    report_faults(options.data, options.images, settings, sys.stdout)


if __name__ == "__main__":
    raise SystemExit(run(sys.modules[__name__]))
