"""The result of one check: a fact, and a fix if something is wrong."""

from dataclasses import dataclass

from mire.errors import printable


@dataclass(frozen=True)
class Check:
    """One line of the report. ``fix`` says what to do; it is empty if nothing is wrong."""

    text: str
    fix: str = ""

    def __str__(self) -> str:
        text, fix = printable(self.text), printable(self.fix)
        return f"! {text}\n      fix: {fix}" if fix else f"  {text}"
