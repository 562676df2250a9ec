"""Score a submission as the official script does, with intervals; prints one JSON line.

python -m ensemble.score --truth test.json --submission submit.csv
"""

import argparse
import sys
from pathlib import Path

from mire.cli import print_json, run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--truth", type=Path, required=True, help="labelled data file")
    parser.add_argument("--submission", type=Path, required=True, help="CSV with id and predict")


def execute(options: argparse.Namespace) -> None:
    """Print the figures."""
    from ensemble.prediction.submission_scores import score_submission

    print_json(score_submission(options.truth, options.submission))


if __name__ == "__main__":
    raise SystemExit(run(sys.modules[__name__]))
