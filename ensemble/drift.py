"""Compare what a panel answers now with its out-of-fold answers: has what it is asked changed?

    python -m ensemble.drift --panel runs/p --scores scores.csv --out reports/drift

Reads what ``predict --columns scores`` has written, and the report beside it. Writes ``drift.json`` and ``drift.html``.
Exit code 0: no drift; 3: drift; 1: an error. So a cron job can tell them apart.
"""

import argparse
import sys
from pathlib import Path

from mire.cli import add_language, run, say

DRIFTED = 3
"""The exit code where something has drifted."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--panel", type=Path, required=True)
    parser.add_argument("--scores", type=Path, required=True, help="CSV that predict --columns scores has written")
    parser.add_argument("--out", type=Path, required=True, help="folder for drift.json and drift.html")
    add_language(parser)


def execute(options: argparse.Namespace) -> None:
    """Write both files and say what has drifted."""
    from ensemble.decisions.drift import find_drift
    from ensemble.decisions.scores_file import read_scores
    from ensemble.report.drift_page import write_drift
    from mire.panel_folder import PanelFolder

    panel = PanelFolder(options.panel)
    found = find_drift(panel, read_scores(options.scores, panel.taxonomies()))
    write_drift(found, options.out, options.language)
    for drift in found:
        print(drift.line())
    say(f"written: {options.out / 'drift.json'}, {options.out / 'drift.html'}")
    if any(drift.drifted for drift in found):
        raise SystemExit(DRIFTED)


if __name__ == "__main__":
    raise SystemExit(run(sys.modules[__name__]))
