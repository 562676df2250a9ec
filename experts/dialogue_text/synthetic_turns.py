"""Synthetic turns of every intent, for training together with the labelled dialogues."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from experts.dialogue_text.features import Parts, clean
from experts.dialogue_text.lexicon import Lexicon
from mire.settings import DialogueText


@dataclass(frozen=True)
class MadeUp:
    """A synthetic dialogue of one turn; a labelled dialogue has ``weight`` 1."""

    parts: Parts
    label: str
    weight: float


def made_up(labels: Sequence[str], lexicon: Lexicon, *, settings: DialogueText, seed: int) -> list[MadeUp]:
    """The lexicon's questions, and the questions and answers of ``turns.json``; labels that neither knows have none.

    Turns that would weigh nothing are left out.
    """
    made: list[MadeUp] = []
    for label in labels:
        for text, weight in lexicon.questions(label, n_each=settings.template_variants, seed=seed):
            made.append(MadeUp(_asked(text), label, weight * settings.template_weight))
        turns = _turns().get(label, {"user": [], "agent": []})
        made += [MadeUp(_asked(text), label, settings.turn_weight) for text in turns["user"]]
        made += [MadeUp(_answered(text), label, settings.turn_weight) for text in turns["agent"]]
    return [each for each in made if each.weight]


def _asked(text: str) -> Parts:
    return Parts(clean(text), "", "", "")


def _answered(text: str) -> Parts:
    return Parts("", clean(text), "", "")


@lru_cache
def _turns() -> dict[str, dict[str, list[str]]]:
    intents: dict[str, dict[str, list[str]]] = json.loads(
        Path(__file__).with_name("turns.json").read_text(encoding="utf-8")
    )["intents"]
    return intents
