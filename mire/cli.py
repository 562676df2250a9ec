"""The thin shell around every command: one line per error, the right exit code, quiet libraries."""

import argparse
import io
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from mire.errors import MireError

Main = Callable[[Sequence[str] | None], None]
_QUIET = "MIRE_QUIET"
_AGAIN = "run the same command again: what is finished is kept"


class Stopped(BaseException):
    """SIGTERM came: the process cleans up and ends, as after Ctrl-C."""


def run(main: Main, argv: Sequence[str] | None = None) -> int:
    """Run a command's main and turn its end into an exit code.

    0 done, 1 failed, 130 stopped by Ctrl-C, 143 by SIGTERM (argparse itself exits with 2). Errors that a
    person can mend are one line; anything else is a fault of ours and keeps its traceback.
    """
    quiet_libraries()
    _print_anything()
    try:
        with _sigterm_stops():
            main(argv)
    except MireError as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(_os_error_text(error))
    except KeyboardInterrupt:
        return _fail(f"stopped by the user; {_AGAIN}", code=130)
    except Stopped:
        return _fail(f"stopped by SIGTERM; {_AGAIN}", code=143)
    except (MemoryError, RuntimeError) as error:
        # torch's own error is a RuntimeError; the shell of every command does not import torch to catch it.
        if not isinstance(error, MemoryError) and type(error).__name__ != "OutOfMemoryError":
            raise
        reason = str(error).split(". ")[0] or "the machine's memory is full"
        return _fail(f"out of memory: {reason}; free some, or lower qwen2vl.token_budget in the settings; {_AGAIN}")
    return 0


class Parser(argparse.ArgumentParser):
    """An argument parser that also answers a shell's Tab (``eval "$(register-python-argcomplete mire)"``)."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        if completing():
            import argcomplete

            argcomplete.autocomplete(self)
        return super().parse_args(args, namespace)


def completing() -> bool:
    """Whether a shell asks how the words typed so far go on, instead of running them."""
    return "_ARGCOMPLETE" in os.environ


def parser(prog: str, description: str) -> argparse.ArgumentParser:
    """An argument parser that shows the defaults in its help, and knows ``--quiet``."""
    options = Parser(prog=prog, description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    options.add_argument("--quiet", nargs=0, action=_Hush, default=argparse.SUPPRESS, help="say nothing but errors")
    return options


def add_data(target: argparse.ArgumentParser, *, images: bool = True) -> None:
    """Add ``--data`` and, where pictures are needed, ``--images``."""
    target.add_argument("--data", type=Path, required=True, help="official JSON, JSONL, Parquet or ShareGPT file")
    if images:
        target.add_argument("--images", type=Path, required=True, help="folder of the pictures")


def add_config(target: argparse.ArgumentParser, *, default: str | None = "qwen2-vl-7b") -> None:
    """Add ``--config`` and ``--set``, which ``mire.settings.load_settings`` takes together."""
    target.add_argument("--config", default=default, help="nano, cpu, qwen2-vl-7b, or a YAML file")
    target.add_argument(
        "--set",
        dest="overrides",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="another value for one entry, as qwen2vl.max_pixels=600000; may be given several times",
    )


class _Hush(argparse.Action):
    """Sets an environment variable, because processes that this one starts must be quiet too."""

    def __call__(self, *_: object) -> None:
        os.environ[_QUIET] = "1"


def is_quiet() -> bool:
    """Whether this process was told to say nothing but errors."""
    return bool(os.environ.get(_QUIET))


def say(line: str) -> None:
    """Print one line of progress to stderr at once, so that stdout stays machine-readable."""
    if not is_quiet():
        print(line, file=sys.stderr, flush=True)


def quiet_libraries() -> None:
    """What libraries say about themselves, to developers, drowns what a command says to its user."""
    for name, value in (
        ("TOKENIZERS_PARALLELISM", "false"),
        ("HF_HUB_DISABLE_TELEMETRY", "1"),
        ("HF_HUB_DISABLE_PROGRESS_BARS", "1"),
        ("TRANSFORMERS_VERBOSITY", "error"),
    ):
        os.environ.setdefault(name, value)
    warnings.filterwarnings("ignore", category=FutureWarning)
    # Pillow's, about large pictures, and PEFT's, about foreign adapters: both are refused here, in one line.
    warnings.filterwarnings("ignore", message="Image size")
    warnings.filterwarnings("ignore", message="Found missing adapter keys")


def _print_anything() -> None:
    """Let a terminal of any encoding show a line that quotes whatever a data file holds."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _fail(text: str, *, code: int = 1) -> int:
    print(f"error: {text}", file=sys.stderr)
    return code


@contextmanager
def _sigterm_stops() -> Iterator[None]:
    """SIGTERM raises ``Stopped``, so that files are closed and half-written ones removed."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Stopped

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _os_error_text(error: OSError) -> str:
    where = f" ({error.filename})" if error.filename else ""
    return f"{error.strerror or error}{where}"
