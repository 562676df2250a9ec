"""A prompt as pieces of text and pictures, and its shortening, which never cuts a picture."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from experts.qwen2vl.inputs.pictures import Patches
from mire.prompts import IMAGE_TAG, Prompt

Pieces = tuple[str | Patches, ...]
"""Text and pictures in their order."""
# Where the challenge's prompts put a picture: on its own line, alone or after a name ("用户: ", "Picture 1: ").
_OWN_LINE = re.compile(rf"^(?:[^\n:：]{{0,20}}[:：])?[ \t]*({IMAGE_TAG})[ \t\r]*$", re.MULTILINE)


def fill_slots(prompt: Prompt, pictures: Sequence[Patches]) -> tuple[Patches | None, ...]:
    """For each ``<image>`` tag of the prompt the picture that replaces it, or None if the tag stays text.

    If there are more tags than pictures, some tags were typed by users: tags on their own line get the pictures
    first, then tags amid other words. Pictures beyond the tags are dropped.
    """
    tags = [tag.start() for tag in re.finditer(IMAGE_TAG, prompt.text)]
    sent = {line.start(1) for line in _OWN_LINE.finditer(prompt.text)}
    likely = sorted(range(len(tags)), key=lambda index: tags[index] not in sent)
    slots = sorted(likely[: len(pictures)])
    filled: list[Patches | None] = [None] * len(tags)
    for index, picture in zip(slots, pictures, strict=False):
        filled[index] = picture
    return tuple(filled)


def cut_text(text: str, slots: Iterator[Patches | None]) -> Pieces:
    """Text split at its ``<image>`` tags: each is replaced by the next of ``slots``, or stays text if that is None."""
    first, *others = text.split(IMAGE_TAG)
    pieces: list[str | Patches] = []
    words = first
    for following in others:
        picture = next(slots, None)
        if picture is None:
            words += IMAGE_TAG + following
        else:
            pieces += [words, picture]
            words = following
    return (*pieces, words)


@dataclass(frozen=True)
class PromptParts:
    """A prompt in three parts, the middle one a dialogue.

    Each turn begins with its speaker's name and ends with a line break. ``last_question`` is the index of the user's
    last turn, or of the last turn if no user speaks (-1 without turns).
    """

    head: Pieces
    turns: tuple[Pieces, ...]
    tail: Pieces
    last_question: int

    @classmethod
    def of(cls, prompt: Prompt, slots: Sequence[Patches | None]) -> "PromptParts":
        """The parts of a prompt; ``slots`` as ``fill_slots`` gives them."""
        queue = iter(slots)
        head = cut_text(prompt.head, queue)
        turns = tuple(cut_text(turn.line, queue) for turn in prompt.turns)
        users = [index for index, turn in enumerate(prompt.turns) if turn.speaker == "user"]
        return cls(head, turns, cut_text(prompt.tail, queue), users[-1] if users else len(turns) - 1)

    @property
    def pieces(self) -> Pieces:
        return (*self.head, *(piece for turn in self.turns for piece in turn), *self.tail)

    def without_turns(self, costs: Sequence[int], excess: int) -> "PromptParts | None":
        """The parts without the turns that are dropped to save ``excess`` tokens; None if no turn can be dropped.

        ``costs`` are the tokens of each turn. The oldest turns go first, then the agent's turns after the user's last
        one, the last first; the user's last turn stays.
        """
        last = self.last_question
        dropped: set[int] = set()
        for index in (*range(last), *range(len(self.turns) - 1, last, -1)):
            if excess <= 0:
                break
            dropped.add(index)
            excess -= costs[index]
        kept = tuple(turn for index, turn in enumerate(self.turns) if index not in dropped)
        n_before = sum(index < last for index in dropped)
        return replace(self, turns=kept, last_question=last - n_before) if dropped else None

    def without_half_turn(self) -> "PromptParts | None":
        """The parts with the only turn cut to its second half; None if there are more turns or it cannot be cut."""
        if len(self.turns) != 1:
            return None
        shorter = _second_half(self.turns[0])
        return replace(self, turns=(shorter,)) if shorter is not None else None


def _second_half(pieces: Pieces) -> Pieces | None:
    """The second half of the characters, with the pictures between them; without text, of the pictures.

    None if there are fewer than two of either.
    """
    n_characters = sum(len(piece) for piece in pieces if isinstance(piece, str))
    if n_characters < 2:
        pictures = [piece for piece in pieces if not isinstance(piece, str)]
        return tuple(pictures[len(pictures) // 2 :]) if len(pictures) > 1 else None
    to_drop = n_characters // 2
    kept: list[str | Patches] = []
    for piece in pieces:
        if to_drop <= 0:
            kept.append(piece)
        elif isinstance(piece, str):
            if len(piece) > to_drop:
                kept.append(piece[to_drop:])
            to_drop -= len(piece)
    return tuple(kept)
