"""Score every voter, every pair of voters and the whole panel, by task and as the mean.

    python -m ensemble.ablate --data test.json --images images --panel runs/p --out reports/p

Writes ``ablation.json`` and ``ablation.html``. Samples that the panel was trained on are scored by their
out-of-fold votes, with weights fitted on other samples; all others by fresh votes.
"""

import argparse
import sys
from pathlib import Path

from mire.cli import add_data, add_language, add_show_private, run, say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_data(parser)
    parser.add_argument("--panel", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder for ablation.json and ablation.html")
    add_show_private(parser)
    add_language(parser)


def execute(options: argparse.Namespace) -> None:
    """Write both files and print the figures as a table."""
    from ensemble.evaluation.ablation import ablate
    from ensemble.report.page import write_report
    from ensemble.report.text_table import table
    from mire.panel_folder import PanelFolder
    from mire.privacy.masking import hider

    samples = PanelFolder(options.panel).read_samples(options.data, options.images)
    result = ablate(samples, options.panel, hide=hider(show_private=options.show_private))
    write_report(result, options.out, options.language)
    print(table(result))
    say(f"written: {options.out / 'ablation.json'}, {options.out / 'ablation.html'}")


if __name__ == "__main__":
    raise SystemExit(run(sys.modules[__name__]))
