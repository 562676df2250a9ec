"""Errors that end a command with one clear line: the rule, the value, the file and the next step."""

import re
from collections.abc import Sequence
from typing import Literal

Extra = Literal["train", "serve", "audit", "embedding", "quantized", "ray"]
"""Optional dependencies of this project, as ``setup.cfg`` names them."""


def missing_package(user: str, package: str, extra: Extra) -> str:
    """The message where ``user`` needs ``package``, which is not installed and which ``extra`` brings.

    It installs from the checkout: on the public package index, ``mire`` is another project.
    """
    return f"{user} needs the package {package}: pip install -e '.[{extra}]' beside setup.cfg"


class MireError(Exception):
    """Base of every error that a user can fix; commands print it without a traceback, exit code 1."""


class DataError(MireError):
    """A data file, a picture folder or a submission breaks its format."""


class SettingsError(MireError):
    """A configuration or a taxonomy breaks its format, or asks for something impossible."""


class PanelError(MireError):
    """A panel, an adapter or a cache folder does not fit what it is used with."""


class BudgetError(MireError):
    """A rule of the challenge (calls, output tokens, parameters) would be broken."""


class WorkerError(MireError):
    """Worker processes died too often."""


class JournalError(MireError):
    """A journal or a cache is used by another process, cannot be written, or is damaged."""


class UsageError(MireError):
    """Options of a command that contradict each other, or a value out of range; exit code 2."""


_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_SHOWN_CHARACTERS, _MASKED_CHARACTERS = 80, 400


def printable(text: str) -> str:
    """The text as one line: control characters, and marks that turn the reading direction, as ``\\u001b``."""
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def shortened(text: str) -> str:
    """As much of a text as a message shows: 80 characters, ``printable``."""
    text = printable(text[: _SHOWN_CHARACTERS + 1])
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."


def quoted(value: object) -> str:
    """A value from a file as a message shows it: in Python's notation, shortened.

    In anything but a name (a record, a row, a list) private text is masked.
    """
    if isinstance(value, str | bytes):
        return shortened(repr(value[: _SHOWN_CHARACTERS + 1]))
    from mire.privacy.masking import mask

    return shortened(mask(repr(value)[:_MASKED_CHARACTERS]))


def one_line(error: BaseException) -> str:
    """A library's error in one line, line breaks as blanks; the name of its class where it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__


def some(items: Sequence[str], most: int = 8) -> str:
    """The first of them, and how many more there are."""
    return "; ".join(items[:most]) + (f"; and {len(items) - most} more" if len(items) > most else "")
