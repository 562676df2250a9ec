"""The command ``mire``: each of its words runs one of the modules' own commands.

mire predict --data test.json --images images --panel runs/p --out submit.csv
"""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from mire.cli import Parser, completing, run

COMMANDS = {
    "train": ("ensemble.train", "train experts, cast out-of-fold votes, fit the vote"),
    "predict": ("ensemble.predict", "answer a test file and write the submission"),
    "score": ("ensemble.score", "score a submission as the challenge does"),
    "ablate": ("ensemble.ablate", "show what each voter adds: JSON and a page"),
    "explain": ("ensemble.explain", "say which words decide"),
    "audit": ("ensemble.audit", "list the labels that a panel doubts"),
    "serve": ("ensemble.serve.__main__", "open a page and an HTTP interface"),
    "route": ("router.route", "pick the task of each prompt"),
    "validate": ("mire.validate", "say what is wrong with a data file"),
    "doctor": ("mire.doctor", "look at this machine, a configuration, a panel"),
    "export": ("ensemble.export", "write an adapter that plain PEFT loads"),
}
"""For each word a module with a ``main``, and what it does."""


def main(argv: Sequence[str] | None = None) -> None:
    """Run the module behind the first word with the other arguments."""
    words = sys.argv[1:] if argv is None else list(argv)
    if completing() and (word := _typed()):
        _run(word, [])
    listed = "\n".join(f"  {word:<10} {what}" for word, (_, what) in COMMANDS.items())
    options = Parser(
        prog="mire",
        usage="mire COMMAND ...",
        description="Multimodal intent recognition in e-commerce customer service.",
        epilog=f"commands:\n{listed}\n\nmire COMMAND --help says more.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="one of the commands below")
    _run(options.parse_args(words[:1]).command, words[1:])


def _run(word: str, words: list[str]) -> None:
    module, _ = COMMANDS[word]
    importlib.import_module(module).main(words)


def _typed() -> str | None:
    """The command before the cursor, if one is finished: the completion goes on as if it were the program."""
    line = os.environ["COMP_LINE"][: int(os.environ["COMP_POINT"])]
    _, *words = line.split(maxsplit=2)
    if not words or words[0] not in COMMANDS or line.endswith(words[0]):
        return None
    os.environ["_ARGCOMPLETE"] = "2"
    return words[0]


def entry() -> int:
    """What the installed script runs."""
    return run(main)


if __name__ == "__main__":
    raise SystemExit(entry())
