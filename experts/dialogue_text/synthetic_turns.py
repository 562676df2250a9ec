"""Synthetic turns of every intent, for training together with the labelled dialogues."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from experts.dialogue_text.features import Parts, clean
from experts.dialogue_text.lexicon import Lexicon

_N_VARIANTS, _TEMPLATE_WEIGHT = 6, 0.5
"""A lexicon template has half the weight of a labelled dialogue, spread over at most six of its variants."""

_TURN_WEIGHT = 0.3
"""Weight of one turn of ``turns.json``; out-of-fold F1 did not differ between 0.1 and 1."""


@dataclass(frozen=True)
class MadeUp:
    """A synthetic dialogue of one turn; a labelled dialogue has ``weight`` 1."""

    parts: Parts
    label: str
    weight: float


def made_up(labels: Sequence[str], lexicon: Lexicon, *, seed: int) -> list[MadeUp]:
    """The lexicon's questions and the turns of ``turns.json``; none for labels that neither of them has."""
    made: list[MadeUp] = []
    for label in labels:
        for text, weight in lexicon.questions(label, n_each=_N_VARIANTS, seed=seed):
            made.append(MadeUp(_asked(text), label, weight * _TEMPLATE_WEIGHT))
        turns = _turns().get(label, {"user": [], "agent": []})
        made += [MadeUp(_asked(text), label, _TURN_WEIGHT) for text in turns["user"]]
        made += [MadeUp(_answered(text), label, _TURN_WEIGHT) for text in turns["agent"]]
    return made


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
