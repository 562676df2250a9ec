"""The answer to a request: label, route, votes, cost, and the text that was read."""

from collections.abc import Mapping

from pydantic import BaseModel

from ensemble.classify import Classification
from ensemble.decisions.threshold_file import Reason, review_reasons
from ensemble.panel import Panel
from experts.screen_text.reader import Reading
from mire.budget import MAX_CALLS, MAX_OUTPUT_TOKENS
from mire.labels import Task

N_TOP = 5


class Chance(BaseModel):
    """A label, what it means in English, and its probability (0 to 1)."""

    label: str
    gloss: str
    probability: float


class RouteOut(BaseModel):
    """The task that the prompt asks for, how sure the router is (0 to 1), and why."""

    task: Task
    confidence: float
    reason: str


class VoterOut(BaseModel):
    """One voter's most probable labels; empty where it abstained. `weight` is its share of the vote."""

    voter: str
    weight: float
    top: list[Chance]


class Booked(BaseModel):
    """What the budget ledger booked for this sample, beside the challenge's limits."""

    calls: int
    max_calls: int = MAX_CALLS
    output_tokens: int
    max_output_tokens: int = MAX_OUTPUT_TOKENS


class Line(BaseModel):
    """A line of text in the first picture; the box's corners are shares of its width and height."""

    text: str
    score: float
    x0: float
    y0: float
    x1: float
    y1: float


class Answer(BaseModel):
    """The panel's answer. `problems` says why it is degraded; empty if it is not.

    `margin` is the probability less that of `second`, the next label. `familiarity` is the share of known samples that
    look no more known, from 0 to 1; null where the panel cannot tell. `decision` is the label if it is sure enough by
    the panel's threshold, and empty if a person should look (`review`) for the `reasons`: it is `unsure`, or `unlike`
    anything seen. Without threshold or reason `decision` and `review` are null.
    `panel` is the fingerprint of the panel that answered.
    """

    panel: str

    label: str
    gloss: str
    probability: float
    margin: float
    second: str
    decision: str | None
    review: bool | None
    familiarity: float | None
    reasons: list[Reason]
    route: RouteOut
    top: list[Chance]
    voters: list[VoterOut]
    booked: Booked
    problems: list[str]
    text: list[Line]


def answer(found: Classification, panel: Panel, reading: Reading | None) -> Answer:
    """Everything that a person or a program may want to know of a panel's classification."""
    part = panel.tasks[found.task]
    unsure = part.thresholds is not None and part.thresholds.asks_review(found.probability)
    reasons = review_reasons(unsure=unsure, familiarity=found.familiarity)
    review = bool(reasons) if part.thresholds or reasons else None
    gloss = {entry.name: entry.gloss for entry in part.taxonomy.entries}
    top = _top(found.distribution, gloss)
    route = found.route
    return Answer(
        panel=panel.fingerprint,
        label=found.label,
        gloss=gloss[found.label],
        probability=top[0].probability,
        margin=round(top[0].probability - top[1].probability, 4),
        second=top[1].label,
        decision=None if review is None else "" if review else found.label,
        review=review,
        familiarity=None if found.familiarity is None else round(found.familiarity, 4),
        reasons=list(reasons),
        route=RouteOut(task=route.task, confidence=route.confidence, reason=route.reason),
        top=top,
        voters=[
            VoterOut(voter=voter.name, weight=voter.weight, top=_top(voter.distribution, gloss))
            for voter in found.voters
        ],
        booked=Booked(calls=found.booked.calls, output_tokens=found.booked.output_tokens),
        problems=list(found.problems),
        text=[Line(**vars(box)) for box in reading.boxes] if reading else [],
    )


def _top(distribution: Mapping[str, float], gloss: Mapping[str, str]) -> list[Chance]:
    best = sorted(distribution, key=lambda label: -distribution[label])[:N_TOP]
    return [Chance(label=label, gloss=gloss[label], probability=round(distribution[label], 4)) for label in best]
