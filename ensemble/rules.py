"""Compare ways to combine a panel's out-of-fold votes; whatever a rule learns is cross-fitted.

    python -m ensemble.rules --panel runs/p

Prints a table, then one JSON line. ``versus`` is the paired bootstrap interval of the difference to fitted
log-linear pooling, the default: where it contains zero, the difference is not significant.
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from mire.cli import run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--panel", type=Path, required=True)


def execute(options: argparse.Namespace) -> None:
    """Compare the rules and print the outcome."""
    from ensemble.evaluation.combination_rules import compare_panel, table

    outcomes = compare_panel(options.panel)
    print(table(outcomes))
    print(json.dumps({task: [asdict(row) for row in rows] for task, rows in outcomes.items()}))


if __name__ == "__main__":
    raise SystemExit(run(sys.modules[__name__]))
