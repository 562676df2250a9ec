"""Mask what identifies a customer in a text: the patterns are in ``patterns.json``, python-stdnum has the checksums.

presidio would do this too, but with spaCy, a language model of hundreds of megabytes, and without Chinese street
addresses, order and parcel numbers; phonenumbers knows phone numbers alone. Names of people are not found.
"""

import json
import re
from collections.abc import Callable
from functools import lru_cache
from importlib import resources

from stdnum import luhn
from stdnum.iso7064 import mod_11_2

Hide = Callable[[str], str]
"""What a text is passed through before it is shown: ``mask``, or ``str``, which hides nothing."""

_CHECKS: dict[str, Callable[[str], bool]] = {"luhn": luhn.is_valid, "mod_11_2": mod_11_2.is_valid}


def mask(text: str) -> str:
    """The text with a name in brackets, such as ``[phone]``, in place of whatever may identify a customer."""
    for name, regex, check in _patterns():
        text = regex.sub(lambda found, name=name, check=check: _placeholder(found, name, check), text)  # type: ignore[misc]
    return text


def hider(*, show_private: bool) -> Hide:
    """``mask``, unless everything is to be shown."""
    return str if show_private else mask


def _placeholder(found: re.Match[str], name: str, check: Callable[[str], bool] | None) -> str:
    """What a match becomes; of a pattern with a group only the group is private, and the words before it stay."""
    private = found[found.re.groups]
    if check and not check(_digits(private)):
        return found[0]
    return found[0].replace(private, f"[{name}]")


def _digits(number: str) -> str:
    """ASCII digits and the X of an identity card; full-width ones count, blanks and dashes do not."""
    return "".join("X" if char in "xX" else str(int(char)) for char in number if char.isdecimal() or char in "xX")


@lru_cache
def _patterns() -> tuple[tuple[str, re.Pattern[str], Callable[[str], bool] | None], ...]:
    """Placeholder, pattern and checksum, in the order in which they are applied."""
    body = json.loads(resources.files("mire").joinpath("privacy", "patterns.json").read_text(encoding="utf-8"))
    return tuple(
        (entry["name"], re.compile(entry["regex"] % body["parts"]), _CHECKS.get(entry.get("checksum", "")))
        for entry in body["patterns"]
    )
