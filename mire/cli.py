"""The thin shell around every command: one line per error, the right exit code, quiet libraries."""

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from mire.errors import MireError

Main = Callable[[Sequence[str] | None], None]


def run(main: Main, argv: Sequence[str] | None = None) -> int:
    """Run a command's main; exit code 0 done, 1 failed, 130 stopped by Ctrl-C (argparse itself exits with 2)."""
    _quiet_libraries()
    try:
        main(argv)
    except MireError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: {_os_error_text(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("error: stopped by the user", file=sys.stderr)
        return 130
    return 0


def parser(prog: str, description: str) -> argparse.ArgumentParser:
    """An argument parser that shows the defaults in its help."""
    return argparse.ArgumentParser(
        prog=prog, description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )


def add_data(target: argparse.ArgumentParser, *, images: bool = True) -> None:
    """Add ``--data`` and, where pictures are needed, ``--images``."""
    target.add_argument("--data", type=Path, required=True, help="official JSON, JSONL or ShareGPT file")
    if images:
        target.add_argument("--images", type=Path, required=True, help="folder of the pictures")


def say(line: str) -> None:
    """Print one line of progress to stderr at once, so that stdout stays machine-readable."""
    print(line, file=sys.stderr, flush=True)


def _quiet_libraries() -> None:
    """What libraries say about themselves, to developers, drowns what a command says to its user."""
    for name, value in (
        ("TOKENIZERS_PARALLELISM", "false"),
        ("HF_HUB_DISABLE_TELEMETRY", "1"),
        ("HF_HUB_DISABLE_PROGRESS_BARS", "1"),
        ("TRANSFORMERS_VERBOSITY", "error"),
    ):
        os.environ.setdefault(name, value)
    warnings.filterwarnings("ignore", category=FutureWarning)


def _os_error_text(error: OSError) -> str:
    where = f" ({error.filename})" if error.filename else ""
    return f"{error.strerror or error}{where}"
