"""The command ``mire``: each sub-command runs one command module.

mire predict --data test.json --images images --panel runs/p --out submit.csv
"""

import argparse
import importlib
import sys
from collections.abc import Sequence

from mire import __version__
from mire.cli import Parser, add_command, run_parser

COMMANDS = {
    "quickstart": "ensemble.quickstart.__main__",
    "labels": "ensemble.labels.__main__",
    "train": "ensemble.train",
    "predict": "ensemble.predict",
    "score": "ensemble.score",
    "check-submission": "ensemble.check_submission",
    "ablate": "ensemble.ablate",
    "rules": "ensemble.rules",
    "compare": "ensemble.compare",
    "sweep": "ensemble.sweep",
    "explain": "ensemble.explain",
    "audit": "ensemble.audit",
    "serve": "ensemble.serve.__main__",
    "fit": "ensemble.fit",
    "threshold": "ensemble.threshold",
    "review": "ensemble.review",
    "drift": "ensemble.drift",
    "pseudo-label": "ensemble.pseudo_label",
    "route": "router.route",
    "validate": "mire.validate",
    "doctor": "mire.doctor.__main__",
    "export": "ensemble.export",
    "convert": "experts.qwen2vl.convert",
    "merge": "experts.qwen2vl.merge",
}
"""The module of each sub-command."""


def command_line() -> argparse.ArgumentParser:
    """The parser of ``mire``, with every command as a sub-parser."""
    parser = Parser(
        prog="mire",
        description="Multimodal intent recognition in e-commerce customer service.",
        epilog="mire COMMAND --help explains a command.",
    )
    parser.add_argument("--version", action="version", version=f"mire {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for word, module in COMMANDS.items():
        add_command(commands, word, importlib.import_module(module))
    return parser


def entry(argv: Sequence[str] | None = None) -> int:
    """Entry point of the installed script; returns the exit code."""
    return run_parser(command_line(), argv)


if __name__ == "__main__":
    raise SystemExit(entry(sys.argv[1:]))
