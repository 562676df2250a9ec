"""Make a taxonomy and a configuration from a list of labels, draft examples for them, or add labels to a panel.

mire labels --task dialogue --from labels.csv --out mine
mire labels suggest --config mine/config.yaml --out drafts.csv
mire labels add --panel runs/mine --data more.json --images images
"""

import argparse
import sys
from pathlib import Path

from mire.cli import add_data, add_overrides, run, say
from mire.errors import UsageError
from mire.labels import TASKS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--task", choices=TASKS, default="dialogue")
    parser.add_argument(
        "--from",
        dest="source",
        type=Path,
        metavar="FILE",
        help="CSV, XLSX or a plain list: name, description, and if you like gloss and examples",
    )
    parser.add_argument("--drafts", type=Path, help="edited drafts of 'suggest': they train at low weight")
    parser.add_argument("--out", type=Path, help="folder of the taxonomy and the configuration, or the drafts' file")
    verbs = parser.add_subparsers(dest="verb", metavar="suggest|add")
    suggest = verbs.add_parser("suggest", help="draft questions and answers for each dialogue label, to be edited")
    suggest.add_argument("--config", required=True, help="the configuration that names the labels")
    suggest.add_argument("--out", type=Path, required=True, help="CSV to write")
    add_overrides(suggest, "override one setting")
    add = verbs.add_parser("add", help="give a trained panel with neighbours examples, of labels that may be new")
    add.add_argument("--panel", type=Path, required=True, help="the panel, which is replaced")
    add_data(add)


def execute(options: argparse.Namespace) -> None:
    """Write the files or the panel, and say what should be looked at."""
    if options.verb == "suggest":
        from ensemble.labels.suggest import write_drafts
        from mire.settings import load_settings

        n_drafts = write_drafts(load_settings(options.config, options.overrides).taxonomy("dialogue"), options.out)
        say(f"{n_drafts} drafts in {options.out}: correct or delete them, then mire labels ... --drafts {options.out}")
        return
    if options.verb == "add":
        from ensemble.labels.add import add_examples
        from mire.panel_folder import PanelFolder

        for line in add_examples(PanelFolder(options.panel), options.data, options.images):
            say(line)
        return
    if not (options.source and options.out):
        raise UsageError("name the list of labels with --from and a folder with --out, or use suggest or add")
    from ensemble.labels.from_names import make_configuration

    for line in make_configuration(options.source, options.task, options.out, drafts=options.drafts):
        say(line)


if __name__ == "__main__":
    raise SystemExit(run(sys.modules[__name__]))
