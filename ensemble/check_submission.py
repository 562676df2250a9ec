"""Compare a submission with the test file that it answers, which needs no labels, before it is handed in.

python -m ensemble.check_submission --data test.json --submission submit.csv

Every fault is listed: ids that are missing, foreign or twice, answers that are no live label of the sample's task,
another order, rows that are no rows.
"""

import argparse
import sys
from pathlib import Path

from mire.cli import add_config, add_data, run, say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_data(parser, images=False)
    parser.add_argument("--submission", type=Path, required=True, help="CSV with id and predict")
    add_config(parser)


def execute(options: argparse.Namespace) -> None:
    """Say what the submission holds, or end with its faults."""
    from ensemble.prediction.submission_check import check_submission
    from mire.settings import load_settings

    settings = load_settings(options.config, options.overrides)
    for task, n_rows in check_submission(options.data, options.submission, settings).items():
        say(f"{task}: {n_rows} rows")
    say(f"{options.submission} answers every sample of {options.data}, in its order, with live labels")


if __name__ == "__main__":
    raise SystemExit(run(sys.modules[__name__]))
