"""From a request's content and questions to the panel's probabilities: at most one pass per task."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from ensemble.classify import Classification
from ensemble.panel import Panel
from ensemble.serve.limits import Limits, RefusedError
from ensemble.serve.questions import check_lengths
from ensemble.serve.service import Service
from ensemble.serve.wire.asked import Asked, Kind, Understood, Value, understand
from ensemble.serve.wire.content import Content
from mire.labels import Task

_ROUTED = 10
"""Times ``Limits.max_characters``: what one request may have read to find its questions' tasks."""


class Body(Protocol):
    """A request's body in one of the formats."""

    def content(self, limits: Limits) -> Content:
        """What it shows."""

    def asked(self) -> list[Asked]:
        """Its questions, in order."""

    def names(self) -> list[str | None]:
        """What it calls them; they stand in the answer."""


@dataclass(frozen=True)
class Answered:
    """An answer: each option's value with its probability (0 to 1), in the question's order."""

    kind: Kind
    values: tuple[Value, ...]
    probabilities: tuple[float, ...]

    @property
    def pairs(self) -> list[tuple[Value, float]]:
        return list(zip(self.values, self.probabilities, strict=True))

    @property
    def first(self) -> Value:
        """The most probable value; of equal ones the first."""
        return max(self.pairs, key=lambda pair: pair[1])[0]


@dataclass(frozen=True)
class Decided:
    """Each question's name and answer, None where no expert could say anything, and the tokens of all prompts."""

    panel: Panel
    answers: list[tuple[str | None, Answered | None]]
    input_tokens: int
    output_tokens: int


async def decide(service: Service, read: Callable[[], Body], client: str, *, cost: float) -> Decided:
    """Answer the request that ``read`` gives, at the desk; ``cost`` are its bytes.

    Raises:
        RefusedError: a question that cannot be asked (400, 422), or as ``Service.classify``.
    """
    panel = service.panel
    body, content, meant = await service.at_desk(partial(_read, read, service.limits, panel), client, cost=cost)
    found: dict[Task, Classification] = {}
    for task in dict.fromkeys(each.task for each in meant):
        posted = partial(content.posted, task, service.limits)
        async with service.asked(posted, client, cost=cost, panel=panel) as outcome:
            found[task] = outcome.found
    answers = [_answered(each, found[each.task]) for each in meant]
    named = list(zip(body.names(), answers, strict=True))
    n_read = sum(each.input_tokens for each in found.values())
    return Decided(panel, named, n_read, sum(each.booked.output_tokens for each in found.values()))


def _read(read: Callable[[], Body], limits: Limits, panel: Panel) -> tuple[Body, Content, list[Understood]]:
    body = read()
    asked = body.asked()
    _check(asked, body.names(), limits)
    content = body.content(limits)
    check_lengths([content.instructions, *(text for _, text in content.turns)], limits)
    n_characters = sum(len(content.instructions) + len(each.instructions) for each in asked)
    if n_characters > (most := _ROUTED * limits.max_characters):
        raise RefusedError(
            422, f"questions, each with the system's message, may have {most} characters, got {n_characters}"
        )
    return body, content, [understand(each, panel.taxonomies, content) for each in asked]


def _check(asked: Sequence[Asked], names: Sequence[str | None], limits: Limits) -> None:
    for each, name in zip(asked, names, strict=True):
        options = (text for value, description in each.options for text in (str(value), description))
        check_lengths([name or "", each.instructions, *options], limits)


def _answered(meant: Understood, found: Classification) -> Answered | None:
    if not any(voter.distribution for voter in found.voters):
        return None
    return Answered(meant.kind, meant.values, tuple(meant.probabilities(found.distribution)))
