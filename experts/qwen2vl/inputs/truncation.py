"""A prompt as pieces: text, and the pictures whose slots stand between; shortening happens on whole pieces."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from experts.qwen2vl.inputs.pictures import Patches
from mire.prompts import IMAGE_TAG, SPEAKER_NAMES, Prompt

Pieces = tuple[str | Patches, ...]
# How the challenge's frames place a picture: on a line of its own, or behind a name ("用户: ", "Picture 1: ").
_OWN_LINE = re.compile(rf"^(?:[^\n:：]{{0,20}}[:：])?[ \t]*({IMAGE_TAG})[ \t\r]*$", re.MULTILINE)


def fill_slots(prompt: Prompt, pictures: Sequence[Patches]) -> tuple[Patches | None, ...]:
    """For each ``<image>`` tag of the prompt the picture that goes there, or None where the tag stays text.

    Where there are more tags than pictures somebody typed some: a tag amid other words gives way to one
    that stands as a picture is sent. Pictures beyond the tags are not shown.
    """
    tags = [tag.start() for tag in re.finditer(IMAGE_TAG, prompt.text)]
    sent = {line.start(1) for line in _OWN_LINE.finditer(prompt.text)}
    likely = sorted(range(len(tags)), key=lambda place: tags[place] not in sent)
    slots = sorted(likely[: len(pictures)])
    filled: list[Patches | None] = [None] * len(tags)
    for place, picture in zip(slots, pictures, strict=False):
        filled[place] = picture
    return tuple(filled)


def cut_text(text: str, slots: Iterator[Patches | None]) -> Pieces:
    """Text split at its tags; each takes the next of ``slots``, and stays text where that is None."""
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
    """A prompt's parts in pieces; each turn carries its speaker's name and its line break."""

    head: Pieces
    turns: tuple[Pieces, ...]
    tail: Pieces
    last_question: int

    @classmethod
    def of(cls, prompt: Prompt, slots: Sequence[Patches | None]) -> "PromptParts":
        """``last_question`` is the place of the user's last turn, or of the last one where no user speaks."""
        queue = iter(slots)
        head = cut_text(prompt.head, queue)
        turns = tuple(cut_text(f"{SPEAKER_NAMES[turn.speaker]}: {turn.text}\n", queue) for turn in prompt.turns)
        users = [place for place, turn in enumerate(prompt.turns) if turn.speaker == "user"]
        return cls(head, turns, cut_text(prompt.tail, queue), users[-1] if users else len(turns) - 1)

    @property
    def pieces(self) -> Pieces:
        return (*self.head, *(piece for turn in self.turns for piece in turn), *self.tail)

    def without_turns(self, costs: Sequence[int], excess: int) -> "PromptParts | None":
        """Fewer turns, so that about ``excess`` of their ``costs`` (one a turn) is saved; None if none can go.

        The oldest go first, then what an agent said after the user's last turn, which itself stays.
        """
        last = self.last_question
        dropped: set[int] = set()
        for place in (*range(last), *range(len(self.turns) - 1, last, -1)):
            if excess <= 0:
                break
            dropped.add(place)
            excess -= costs[place]
        kept = tuple(turn for place, turn in enumerate(self.turns) if place not in dropped)
        n_before = sum(place < last for place in dropped)
        return replace(self, turns=kept, last_question=last - n_before) if dropped else None

    def without_half_turn(self) -> "PromptParts | None":
        """The lone turn that is left without its first half; None where nothing can go."""
        if len(self.turns) != 1:
            return None
        shorter = _second_half(self.turns[0])
        return replace(self, turns=(shorter,)) if shorter is not None else None


def _second_half(pieces: Pieces) -> Pieces | None:
    """The second half of the characters with the pictures among them; without characters, of the pictures."""
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
