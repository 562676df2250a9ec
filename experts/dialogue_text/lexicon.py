"""The lexicon: per intent, phrases that indicate it and synthetic questions for training."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from mire.errors import SettingsError, one_line, quoted

Side = Literal["user", "agent"]

LEXICON_FILE = Path(__file__).with_name("lexicon.json")

# Bounded: matching a line of digits only would otherwise take quadratic time.
_NUMBER = r"(?:\d{1,12}(?:\.\d{1,6})?|[零一二两三四五六七八九十百]{1,12})"
_GAP = r".{0,6}?"
_WILDCARDS = {"#": _NUMBER, "…": _GAP}
_MAX_WILDCARDS = 3
"""Of a phrase: a search tries every combination of what they could stand for."""
_CHOICE = re.compile(r"(\{[^{}]*\})")

_MAX_CHARACTERS = 10_000
"""No shopper writes more in a turn; searching a megabyte for every phrase would take seconds."""
_MORE_PHRASES, _MOST = 0.5, 3.0
_PER_CHARACTER, _LONGEST = 0.25, 4


class _Intent(BaseModel):
    model_config = ConfigDict(extra="forbid")

    user: list[str] = []
    agent: list[str] = []
    questions: list[str] = []

    @field_validator("user", "agent")
    @classmethod
    def _quickly_found(cls, phrases: list[str]) -> list[str]:
        for phrase in phrases:
            if sum(map(phrase.count, _WILDCARDS)) > _MAX_WILDCARDS:
                raise ValueError(f"a phrase may have {_MAX_WILDCARDS} wildcards, got {quoted(phrase)}")
        return phrases


class _LexiconFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    about: str = ""
    intents: dict[str, _Intent]


@dataclass(frozen=True)
class Phrase:
    """A phrase as it is written in the file, and how to find it; ``length`` counts its literal characters."""

    text: str

    @cached_property
    def length(self) -> int:
        return sum(character not in _WILDCARDS for character in self.text)

    def found_in(self, text: str) -> bool:
        return self.text in text if self._pattern is None else bool(self._pattern.search(text))

    @cached_property
    def _pattern(self) -> "re.Pattern[str] | None":
        if self.length == len(self.text):
            return None
        return re.compile("".join(_WILDCARDS.get(character, re.escape(character)) for character in self.text))


@dataclass(frozen=True)
class Lexicon:
    """The phrases and questions of every intent, as the lexicon file ``text`` holds them."""

    text: str

    @classmethod
    def read(cls, path: Path = LEXICON_FILE) -> "Lexicon":
        """Raises SettingsError where the file breaks the format."""
        lexicon = cls(path.read_text(encoding="utf-8"))
        try:
            _ = lexicon._intents
        except (ValidationError, ValueError) as error:
            raise SettingsError(f"{path} is not a lexicon: {one_line(error)}") from error
        return lexicon

    def phrases_in(self, text: str, *, label: str, side: Side) -> list[str]:
        """The label's phrases that occur in ``text`` (lower case)."""
        return [phrase.text for phrase in self._phrases(label, side) if phrase.found_in(text)]

    def strengths(self, text: str, *, labels: Sequence[str], side: Side) -> NDArray[np.float64]:
        """How strongly ``text`` indicates each label, shape (len(labels),), from 0 to 4.

        0 without a phrase; else 1, plus 0.5 per further phrase (3 at most in total), plus 0.25 per character
        of the longest phrase (1 at most): long phrases rarely occur by chance.
        """
        if not text:  # most parts of most dialogues are empty
            return np.zeros(len(labels))
        found = np.array([self.strength(text[:_MAX_CHARACTERS], label, side) for label in labels])
        found.flags.writeable = False
        return found

    def questions(self, label: str, *, n_each: int, seed: int) -> list[tuple[str, float]]:
        """Synthetic questions with weights: at most ``n_each`` per template, whose weights sum to 1."""
        rng = np.random.default_rng(seed)
        made: list[tuple[str, float]] = []
        for template in self._intents[label].questions if label in self._intents else ():
            variants = _expand(template)
            n = min(n_each, len(variants))
            chosen = rng.choice(len(variants), size=n, replace=False)
            made += [(variants[index], 1 / n) for index in sorted(chosen.tolist())]
        return made

    def strength(self, text: str, label: str, side: Side) -> float:
        """``strengths`` for one label."""
        lengths = [phrase.length for phrase in self._phrases(label, side) if phrase.found_in(text)]
        if not lengths:
            return 0.0
        return min(_MOST, 1 + _MORE_PHRASES * (len(lengths) - 1)) + _PER_CHARACTER * min(max(lengths), _LONGEST)

    def _phrases(self, label: str, side: Side) -> Sequence[Phrase]:
        return self._compiled.get((label, side), ())

    @cached_property
    def _compiled(self) -> dict[tuple[str, Side], tuple[Phrase, ...]]:
        compiled: dict[tuple[str, Side], tuple[Phrase, ...]] = {}
        for label, intent in self._intents.items():
            compiled[label, "user"] = tuple(Phrase(text.lower()) for text in intent.user)
            compiled[label, "agent"] = tuple(Phrase(text.lower()) for text in intent.agent)
        return compiled

    @cached_property
    def _intents(self) -> dict[str, _Intent]:
        return _LexiconFile.model_validate(json.loads(self.text)).intents


def _expand(template: str) -> list[str]:
    """Every text that a template generates: ``{a|b}c`` gives ``ac`` and ``bc``."""
    pieces = [piece for piece in _CHOICE.split(template) if piece]
    choices = [piece[1:-1].split("|") if _CHOICE.fullmatch(piece) else [piece] for piece in pieces]
    return ["".join(choice) for choice in product(*choices)]


kept_strengths = lru_cache(maxsize=16_384)(Lexicon.strengths)
"""``Lexicon.strengths`` for a training, whose texts are the same in each fold; no text of a request is kept."""
