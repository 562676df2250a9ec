"""Synthetic turns of every intent, for training together with the labelled dialogues."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from experts.dialogue_text.features import Parts, clean
from experts.dialogue_text.lexicon import Lexicon
from mire.labels import Draft
from mire.prompts import Speaker
from mire.settings import DialogueText


@dataclass(frozen=True)
class MadeUp:
    """A synthetic dialogue of one turn; a labelled dialogue has ``weight`` 1."""

    parts: Parts
    label: str
    weight: float


def made_up(
    labels: Sequence[str],
    lexicon: Lexicon,
    *,
    settings: DialogueText,
    seed: int,
    drafts: Mapping[str, Sequence[Draft]] = MappingProxyType({}),
) -> list[MadeUp]:
    """The lexicon's questions, the turns of ``turns.json``, and ``drafts``; labels that none of them knows have none.

    Turns that would weigh nothing are left out.
    """
    made: list[MadeUp] = []
    for label in labels:
        for text, weight in lexicon.questions(label, n_each=settings.template_variants, seed=seed):
            made.append(MadeUp(_asked(text), label, weight * settings.template_weight))
        turns = known_turns(label)
        own = drafts.get(label, ())
        asked = [*turns["user"], *(draft.text for draft in own if draft.speaker == "user")]
        answered = [*turns["agent"], *(draft.text for draft in own if draft.speaker == "agent")]
        made += [MadeUp(_asked(text), label, settings.turn_weight) for text in asked]
        made += [MadeUp(_answered(text), label, settings.turn_weight) for text in answered]
    return [each for each in made if each.weight]


def _asked(text: str) -> Parts:
    return Parts(clean(text), "", "", "")


def _answered(text: str) -> Parts:
    return Parts("", clean(text), "", "")


def known_turns(label: str) -> dict[Speaker, list[str]]:
    """The questions and answers that ``turns.json`` has for a label; none for one that the challenge has not."""
    return _turns().get(label) or {"user": [], "agent": []}


@lru_cache
def _turns() -> dict[str, dict[Speaker, list[str]]]:
    intents: dict[str, dict[Speaker, list[str]]] = json.loads(
        Path(__file__).with_name("turns.json").read_text(encoding="utf-8")
    )["intents"]
    return intents
