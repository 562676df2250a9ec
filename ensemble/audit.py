"""List the labels that a panel doubts most, with their pictures, for a person to decide on.

    python -m ensemble.audit --data train.json --images images --panel runs/p --out reports/p

Writes ``audit.json`` and ``audit.html``. The doubt rests on votes of voters that were not trained on the
sample (cleanlab, https://arxiv.org/abs/1911.00068). Nothing is relabelled: a doubted label may be right, and
labels that are given by a convention are listed apart, because a panel doubts them for being unexpected.
"""

import argparse
import sys
from pathlib import Path

from mire.cli import add_data, add_language, add_show_private, run, say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_data(parser)
    parser.add_argument("--panel", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder for audit.json and audit.html")
    add_show_private(parser)
    add_language(parser)


def execute(options: argparse.Namespace) -> None:
    """Write both files and count what they list."""
    from ensemble.evaluation.label_issues import write_audit
    from mire.panel_folder import PanelFolder
    from mire.privacy.masking import hider

    samples = PanelFolder(options.panel).read_samples(options.data, options.images)
    hide = hider(show_private=options.show_private)
    for task, found in write_audit(samples, options.panel, options.out, hide=hide, language=options.language).items():
        by_convention = sum(bool(doubt.convention) for doubt in found)
        say(f"{task}: {len(found)} labels are doubted, {by_convention} of them are given by a convention")
    say(f"written: {options.out / 'audit.json'}, {options.out / 'audit.html'}")


if __name__ == "__main__":
    raise SystemExit(run(sys.modules[__name__]))
