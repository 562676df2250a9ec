"""What a check finds: a fact, and a fix where the fact is trouble."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """One line for a person. ``fix`` says what to do; it is empty where nothing is wrong."""

    text: str
    fix: str = ""

    def __str__(self) -> str:
        return f"! {self.text}\n      fix: {self.fix}" if self.fix else f"  {self.text}"
