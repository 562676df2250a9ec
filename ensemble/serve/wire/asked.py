"""A question in the panel's terms: which task it belongs to, and which labels it asks for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import log
from typing import Literal

from ensemble.serve.limits import RefusedError
from ensemble.serve.wire.content import Content
from mire.errors import quoted
from mire.labels import Task, Taxonomy
from router.route import Taxonomies, route_text, squeeze

MAX_QUESTIONS = 400
MIN_OPTIONS, MAX_OPTIONS = 2, 255

Kind = Literal["choice", "predicate", "score"]
Value = str | bool


@dataclass(frozen=True)
class Asked:
    """A question as it came: ``options`` of a choice hold value and description; without any, all labels are asked for.

    ``where`` names the question in refusals.
    """

    kind: Kind
    where: str
    instructions: str
    options: tuple[tuple[Value, str], ...] = ()


@dataclass(frozen=True)
class Understood:
    """The question's task and labels, and for each label the value by which the answer names it."""

    kind: Kind
    task: Task
    labels: tuple[str, ...]
    values: tuple[Value, ...]

    def probabilities(self, distribution: Mapping[str, float]) -> list[float]:
        """Each label's probability: of a single one its own, of several with their sum as the whole."""
        own = [distribution[label] for label in self.labels]
        total = sum(own) if len(own) > 1 else 1.0
        return [share / total if total else 1 / len(own) for share in own]


def confidence(probabilities: Sequence[float]) -> float:
    """1 for certainty, 0 for equal probabilities: ``1 - H(p) / log K``, as decision models compute it."""
    entropy = -sum(p * log(p) for p in probabilities if p > 0)
    return min(max(1 - entropy / log(len(probabilities)), 0.0), 1.0)


def understand(asked: Asked, taxonomies: Taxonomies, content: Content) -> Understood:
    """Find the question's labels, and by them its task; where several tasks have them, words and content decide.

    Raises:
        RefusedError: a score, a label that no task has, no label or several in a predicate, one label twice in a
            choice, or a question about a picture without exactly one picture (400).
    """
    if asked.kind == "score":
        raise _refused(asked, "a score has levels, this panel has labels: ask a choice or a predicate", taxonomies)
    found = _options(asked, taxonomies) if asked.kind == "choice" else _named(asked, taxonomies)
    task = _task(tuple(found), asked, taxonomies, content)
    labels = found[task]
    if len(set(labels)) < len(labels):
        raise RefusedError(400, f"{asked.where}: two choices mean the same label, {quoted(_twice(labels))}")
    if task == "image" and len(content.pictures) != 1:
        n_pictures = len(content.pictures)
        raise RefusedError(400, f"{asked.where} asks for labels of a picture: send exactly one, got {n_pictures}")
    values = tuple(value for value, _ in asked.options) or labels
    return Understood(asked.kind, task, labels, values)


def _options(asked: Asked, taxonomies: Taxonomies) -> dict[Task, tuple[str, ...]]:
    """The options' labels in each task that has all of them."""
    found = {task: [_label(option, labels) for option in asked.options] for task, labels in taxonomies.items()}
    whole = {task: tuple(filter(None, labels)) for task, labels in found.items() if all(labels)}
    if not asked.options:
        return {task: labels.labels for task, labels in taxonomies.items()}
    if len(asked.options) < MIN_OPTIONS:
        raise RefusedError(400, f"{asked.where}: a choice needs at least {MIN_OPTIONS} choices")
    if not whole:
        nearest = max(found.values(), key=lambda labels: sum(map(bool, labels)))
        unknown = next(str(value) for (value, _), label in zip(asked.options, nearest, strict=True) if not label)
        raise _refused(asked, f"{quoted(unknown)} is no label of the task that the other choices belong to", taxonomies)
    return whole


def _label(option: tuple[Value, str], taxonomy: Taxonomy) -> str | None:
    value, description = option
    known = _known(taxonomy)
    return known.get(squeeze(str(value))) or known.get(squeeze(description))


def _named(asked: Asked, taxonomies: Taxonomies) -> dict[Task, tuple[str, ...]]:
    """The one label that the instructions name, in each task that has it."""
    text = squeeze(asked.instructions).strip("?？.。!！")
    named = {task: _labels_in(text, labels) for task, labels in taxonomies.items()}
    found = {task: tuple(labels) for task, labels in named.items() if labels}
    if not found:
        raise _refused(asked, "a predicate must name one label, this one names none", taxonomies)
    if several := next((labels for labels in found.values() if len(labels) > 1), None):
        raise RefusedError(
            400, f"{asked.where}: a predicate must name one label, this one names {', '.join(several)}; ask a choice"
        )
    return found


def _labels_in(text: str, taxonomy: Taxonomy) -> list[str]:
    """Labels whose names, or glosses of several words, stand in the text; not those that are part of a longer one."""
    if text in _known(taxonomy):
        return [_known(taxonomy)[text]]
    hits = {phrase: label for phrase, label in _phrases(taxonomy).items() if phrase in text}
    longest = [label for phrase, label in hits.items() if not any(phrase in o and phrase != o for o in hits)]
    return list(dict.fromkeys(longest))


@lru_cache
def _known(taxonomy: Taxonomy) -> dict[str, str]:
    """Each live label by its name and by its gloss."""
    glosses = {squeeze(entry.gloss): entry.name for entry in taxonomy.live if entry.gloss.strip()}
    return glosses | {squeeze(entry.name): entry.name for entry in taxonomy.live}


@lru_cache
def _phrases(taxonomy: Taxonomy) -> dict[str, str]:
    """What can be looked for in a sentence: "Return" or "Shop" may stand in one that means something else."""
    glosses = {squeeze(entry.gloss): entry.name for entry in taxonomy.live if len(entry.gloss.split()) > 1}
    return glosses | {squeeze(entry.name): entry.name for entry in taxonomy.live}


def _task(candidates: Sequence[Task], asked: Asked, taxonomies: Taxonomies, content: Content) -> Task:
    if len(candidates) == 1:
        return candidates[0]
    instructions = f"{content.instructions}\n{asked.instructions}".strip()
    route = route_text(instructions, taxonomies) if instructions else None
    if route and not route.is_fallback:
        return route.task
    return "image" if content.is_picture_alone else "dialogue"


def _refused(asked: Asked, reason: str, taxonomies: Taxonomies) -> RefusedError:
    """A refusal that says what can be asked."""
    labels = "; ".join(f"{task}: {', '.join(labels.labels)}" for task, labels in taxonomies.items())
    return RefusedError(400, f"{asked.where}: {reason}; this panel's labels, by name or gloss, are {labels}")


def _twice(labels: Sequence[str]) -> str:
    return next(label for index, label in enumerate(labels) if label in labels[:index])
