"""The result of one check: a fact, and a fix if something is wrong."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """One line of the report. ``fix`` says what to do; it is empty if nothing is wrong."""

    text: str
    fix: str = ""

    def __str__(self) -> str:
        return f"! {self.text}\n      fix: {self.fix}" if self.fix else f"  {self.text}"
