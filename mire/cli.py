"""What all commands share: parsers, exit codes, one line per error, log lines on stderr, quiet libraries, threads.

A command is a module with ``add_arguments(parser)`` and ``execute(options)``; its docstring's first line describes it.
"""

import argparse
import io
import json
import logging
import os
import select
import signal
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, NoReturn

from mire.compat import keep_freed_memory, wait_asleep
from mire.errors import MireError, UsageError, printable
from mire.plain_files import is_pipe, keep_pipe

PACKAGES = ("mire", "router", "experts", "ensemble")
"""Our own packages: their log lines are shown to the user of a command."""
_QUIET, _VERBOSE = "MIRE_QUIET", "MIRE_VERBOSE"
_TYPED = "MIRE_TYPED"
"""How the command was typed, where a script runs it for its user."""
_INPUTS = ("data", "truth", "submission", "unlabelled", "config")
"""Options that name a file to read; commands may read it several times."""
_BESIDE = Path("the folder of --data")
_AGAIN = "run the same command again: what is finished is kept"


class Stopped(BaseException):
    """SIGTERM came: the process cleans up and ends, as after Ctrl-C."""


def run(door: ModuleType, argv: Sequence[str] | None = None) -> int:
    """Run a command's module and return its exit code.

    0 done, 1 failed, 2 wrong usage, 130 stopped by Ctrl-C, 143 by SIGTERM. An error that a user can fix is printed
    as one line; any other error is a bug and keeps its traceback.
    """
    parser = Parser(prog=_prog(door), description=_described(door), formatter_class=_Formatter)
    declare(parser, door)
    return run_parser(parser, argv)


def run_parser(parser: argparse.ArgumentParser, argv: Sequence[str] | None = None) -> int:
    """Parse the arguments and run the command that ``declare`` attached to the parser; exit codes as ``run``.

    Raises:
        SystemExit: with code 2 for wrong usage, as argparse does; with 0 after ``--help``.
    """
    start_process()
    _escape_unknown()
    options = parser.parse_args(argv)
    _find_pictures(options)
    try:
        with _sigterm_stops(), _pipes_kept(options):
            options.execute(options)
            sys.stdout.flush()
    except UsageError as error:
        options.parser.error(str(error))
    except MireError as error:
        return _fail(str(error))
    except BrokenPipeError as error:
        return 0 if _reader_has_gone() else _fail(_os_error_text(error))
    except OSError as error:
        return _fail(_os_error_text(error))
    except ImportError as error:
        return _fail(f"a library is missing or broken: {error}; mire doctor says which, and how to mend it")
    except KeyboardInterrupt:
        return _fail(f"stopped by the user; {_AGAIN}", code=130)
    except Stopped:
        return _fail(f"stopped by SIGTERM; {_AGAIN}", code=143)
    except (MemoryError, RuntimeError) as error:
        if (text := _runtime_error_text(error)) is None:
            raise
        return _fail(text)
    return 0


def _find_pictures(options: argparse.Namespace) -> None:
    """Without ``--images`` the pictures lie beside the data."""
    if getattr(options, "images", None) == _BESIDE:
        options.images = (options.data or Path()).parent


def declare(parser: argparse.ArgumentParser, door: ModuleType) -> None:
    """Give a parser a command's own arguments, ``--quiet`` and ``--verbose``, and name the function that runs it."""
    for option, variable, text in (
        ("--quiet", _QUIET, "print errors only"),
        ("--verbose", _VERBOSE, "print the libraries' messages and warnings too"),
    ):
        parser.add_argument(option, nargs=0, action=_Say, const=variable, default=argparse.SUPPRESS, help=text)
    door.add_arguments(parser)
    parser.set_defaults(execute=door.execute, parser=parser)


class Parser(argparse.ArgumentParser):
    """An argument parser that also answers a shell's Tab (``eval "$(register-python-argcomplete mire)"``)."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        if "_ARGCOMPLETE" in os.environ:
            import argcomplete

            argcomplete.autocomplete(self)
        return super().parse_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        super().error(printable(message))


class _Formatter(argparse.ArgumentDefaultsHelpFormatter):
    """Shows the defaults of options that have one."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default in (None, []) else super()._get_help_string(action)


def add_command(commands: Any, word: str, door: ModuleType) -> None:
    """Make a command's module a word of a command line with several: ``commands`` is argparse's sub-parsers."""
    text = _described(door)
    declare(commands.add_parser(word, help=text, description=text, formatter_class=_Formatter), door)


def _described(door: ModuleType) -> str:
    """The first line of the module's docstring, with percent signs escaped for argparse."""
    return (door.__doc__ or "").partition("\n")[0].replace("%", "%%")


def _prog(door: ModuleType) -> str:
    """What the user typed to start the command."""
    name = door.__spec__.name if door.__spec__ else door.__name__
    return os.environ.get(_TYPED) or f"python -m {name.removesuffix('.__main__')}"


def add_data(target: argparse.ArgumentParser, *, images: bool = True, required: bool = True) -> None:
    """Add ``--data`` and, where pictures are needed, ``--images``."""
    target.add_argument(
        "--data",
        type=Path,
        required=required,
        help="CSV or XLSX; or official JSON, JSONL, Parquet, ShareGPT"
        + ("" if required else "; left out: learn from the labels' descriptions"),
    )
    if images:
        target.add_argument("--images", type=Path, default=_BESIDE, help="folder of the pictures")


def add_show_private(target: argparse.ArgumentParser) -> None:
    """Add ``--show-private``, which ``mire.privacy.masking.hider`` takes."""
    target.add_argument(
        "--show-private", action="store_true", help="do not mask what may identify a customer: numbers and addresses"
    )


def add_language(target: argparse.ArgumentParser) -> None:
    """Add ``--language``, which pages for people take."""
    target.add_argument("--language", choices=("en", "zh"), default="en", help="of the page: English or Chinese")


def add_config(target: argparse.ArgumentParser, *, default: str | None = "qwen2-vl-7b") -> None:
    """Add ``--config`` and ``--set``, which ``mire.settings.load_settings`` takes together."""
    target.add_argument("--config", default=default, help="nano, cpu, qwen2-vl-7b, or a YAML file")
    add_overrides(target, "override one setting, as qwen2vl.max_pixels=600000")


def add_overrides(target: argparse.ArgumentParser, help_text: str) -> None:
    """Add ``--set``."""
    target.add_argument(
        "--set",
        dest="overrides",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help=f"{help_text}; may be repeated",
    )


class _Say(argparse.Action):
    """``--quiet`` or ``--verbose``: sets an environment variable, so that child processes do as told too."""

    def __call__(self, *_: object) -> None:
        os.environ[str(self.const)] = "1"
        start_process()


def is_quiet() -> bool:
    """Whether this process prints errors only."""
    return bool(os.environ.get(_QUIET))


def say(line: str) -> None:
    """Print one line to stderr at once, unless ``--quiet`` was given. For commands only: libraries use ``logging``."""
    if not is_quiet():
        _to_stderr(line)


def _to_stderr(line: str) -> None:
    """Print lines, escaped since they may quote a data file; if the reader of stderr has gone, the command goes on."""
    with suppress(BrokenPipeError):
        print("\n".join(map(printable, line.split("\n"))), file=sys.stderr, flush=True)


def print_json(value: object) -> None:
    """Print one line of JSON to stdout, in ASCII where the encoding is none of Unicode's."""
    unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    print(printable(json.dumps(value, ensure_ascii=not unicode)))


class _ToStderr(logging.Handler):
    """Log lines to stderr at once, so that stdout stays machine-readable."""

    def emit(self, record: logging.LogRecord) -> None:
        _to_stderr(self.format(record))


def start_process() -> None:
    """Show our own log lines and quiet the libraries': what a process does first, a command's or a worker's."""
    _leave_working_directory()
    level = logging.ERROR if is_quiet() else logging.INFO
    for package in PACKAGES:
        logger = logging.getLogger(package)
        logger.setLevel(level)
        if not any(isinstance(handler, _ToStderr) for handler in logger.handlers):
            logger.addHandler(_ToStderr())
    if not logging.root.handlers:
        # A library's logging.info() would add a handler there, and every line of ours would be printed twice.
        logging.root.addHandler(logging.NullHandler())
    wait_asleep()
    keep_freed_memory()
    _quiet_libraries(not os.environ.get(_VERBOSE))


def _leave_working_directory() -> None:
    """Take the working directory, maybe a panel of unknown origin, off the import path; our own checkout stays."""
    here, ours = os.path.realpath(os.curdir), Path(__file__).resolve().parent.parent
    if Path(here) != ours:
        sys.path[:] = [entry for entry in sys.path if entry and os.path.realpath(entry) != here]


def _quiet_libraries(quiet: bool) -> None:
    """Silence the libraries' messages to developers, which would hide ours to the user; or let them all be printed."""
    for name, value in (
        ("TOKENIZERS_PARALLELISM", "false"),
        ("HF_HUB_DISABLE_TELEMETRY", "1"),
        ("HF_HUB_DISABLE_PROGRESS_BARS", "1"),
        ("TRANSFORMERS_VERBOSITY", "error"),
    ):
        os.environ.setdefault(name, value)
    if not quiet:
        os.environ["TRANSFORMERS_VERBOSITY"] = "warning"
    logging.getLogger("PIL").setLevel(logging.CRITICAL if quiet else logging.NOTSET)
    # What matters of them, about large pictures or foreign adapters, is said here in one line.
    warnings.simplefilter("ignore" if quiet else "default")


def _escape_unknown() -> None:
    """Let stdout escape characters that its encoding lacks: a line may quote any text of a data file."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Windows would give a file or a pipe the language's own code page, which lacks Chinese labels.
        encoding = "utf-8" if sys.platform == "win32" else None
        sys.stdout.reconfigure(encoding=encoding, errors="backslashreplace")


_SHOWN_CHARACTERS = 1000


def _fail(text: str, *, code: int = 1) -> int:
    """Print an error; a line of it has a thousand characters at most, whatever a library or a file put into it."""
    for line in f"error: {text}".split("\n"):
        _to_stderr(line if len(line) <= _SHOWN_CHARACTERS else f"{line[:_SHOWN_CHARACTERS]}...")
    return code


@contextmanager
def _pipes_kept(options: argparse.Namespace) -> Iterator[None]:
    """Inputs that come through a pipe lie in a temporary folder meanwhile; errors name them as they were given."""
    given = {name: getattr(options, name) for name in _INPUTS if is_pipe(getattr(options, name, None))}
    if not given:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="mire-input-") as folder:
        kept = {name: keep_pipe(Path(value), Path(folder) / name) for name, value in given.items()}
        for name, path in kept.items():
            setattr(options, name, type(given[name])(path))
        try:
            yield
        except MireError as error:
            text = str(error)
            for name, path in kept.items():
                text = text.replace(str(path), str(given[name]))
            raise type(error)(text) from error


def _reader_has_gone() -> bool:
    """Whether the reader of stdout has gone, as ``| head -1`` goes; then the rest of the output is dropped."""
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)  # errors alone: a pipe's is that its reader has gone
        gone = bool(poll.poll(0))
    else:  # Windows: what could not be written is still in the buffer, and fails again
        gone = _flush_fails()
    if gone:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return gone


def _flush_fails() -> bool:
    try:
        sys.stdout.flush()
    except OSError:
        return True
    return False


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


def _runtime_error_text(error: MemoryError | RuntimeError) -> str | None:
    """What a user can mend of it; None for a bug."""
    if str(error).startswith("Symlink loop"):  # so says pathlib, before Python 3.13
        return f"a link leads to itself: {error}"
    # torch's out-of-memory error is a RuntimeError, matched by name so that torch need not be imported here.
    if not isinstance(error, MemoryError) and type(error).__name__ != "OutOfMemoryError":
        return None
    reason = str(error).split(". ")[0] or "the machine's memory is full"
    return f"out of memory: {reason}; free some, or lower qwen2vl.token_budget in the settings; {_AGAIN}"


def _os_error_text(error: OSError) -> str:
    where = f" ({error.filename})" if error.filename else ""
    return f"{error.strerror or error}{where}"
