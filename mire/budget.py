"""The challenge's limits, enforced: model calls and output tokens per sample, parameters in total."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from mire.errors import BudgetError

MAX_CALLS = 3
MAX_OUTPUT_TOKENS = 100
MAX_PARAMETERS = 10_000_000_000
"""The models together must stay below this number."""


class Cost(NamedTuple):
    """Cost of one vote: passes of a neural model, and output tokens of the longest possible answers."""

    calls: int
    output_tokens: int


class Ledger:
    """Books every model call before it is made, and refuses what the rules forbid.

    ``seconds`` is the time that each voter took, by task and voter name. ``failed`` holds the error of a voter
    that failed, by sample id and voter name.
    """

    def __init__(self) -> None:
        self._booked: dict[str, Cost] = defaultdict(lambda: Cost(0, 0))
        self.seconds: dict[str, float] = defaultdict(float)
        self.failed: dict[str, dict[str, str]] = defaultdict(dict)

    def book(self, sample_id: str, voter: str, cost: Cost) -> None:
        """Book ``cost`` on a sample.

        Raises:
            BudgetError: the sample would need more than ``MAX_CALLS`` calls or ``MAX_OUTPUT_TOKENS``
                tokens; nothing is booked then.
        """
        before = self._booked[sample_id]
        after = Cost(before.calls + cost.calls, before.output_tokens + cost.output_tokens)
        for have, limit, unit in (
            (after.calls, MAX_CALLS, "model calls"),
            (after.output_tokens, MAX_OUTPUT_TOKENS, "output tokens"),
        ):
            if have > limit:
                raise BudgetError(
                    f"at most {limit} {unit} per sample: {voter!r} would make it {have} for sample {sample_id!r}; "
                    "remove a voter from the panel"
                )
        self._booked[sample_id] = after

    def booked(self, sample_id: str) -> Cost:
        """Calls and tokens booked for the sample so far."""
        return self._booked.get(sample_id, Cost(0, 0))


@dataclass(frozen=True)
class ParameterCount:
    """Parameters of every model that a panel loads, by name."""

    parts: Mapping[str, int]

    @property
    def total(self) -> int:
        return sum(self.parts.values())

    def check(self) -> None:
        """Refuse a panel of ``MAX_PARAMETERS`` or more.

        Raises:
            BudgetError: the sum is not below the limit; the parts are named.
        """
        if self.total >= MAX_PARAMETERS:
            parts = ", ".join(f"{name} {count:,}" for name, count in self.parts.items())
            raise BudgetError(f"a panel needs fewer than {MAX_PARAMETERS:,} parameters, got {self.total:,}: {parts}")


def answer_tokens(labels: Iterable[str], token_lengths: Iterable[int] | None = None) -> int:
    """Output tokens that one call books: those of the longest possible label.

    Without a tokenizer's ``token_lengths`` a character counts as a token: Qwen2's vocabulary contains every
    common Chinese character, alone or in longer tokens, so this does not undercount.
    """
    return max(len(label) for label in labels) if token_lengths is None else max(token_lengths)
