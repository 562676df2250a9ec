"""Chats as messengers and help desks export them, in one cell: ``name: text``, or ``name time`` over the text."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from mire.prompts import IMAGE_TAG, Speaker, Turn, framed_dialogue, parse_prompt, speaker_of

_DATE = r"\d{1,4}[-/.年]\d{1,2}(?:[-/.月]\d{1,4})?日?,?[ T]*"
_TIME = rf"[\[(（]?(?:{_DATE})?(?:上午|下午)?\d{{1,2}}:\d{{2}}(?::\d{{2}}(?:\.\d+)?)?(?: ?[AaPp][Mm])?[\])）]?"
_NAME = r"(?P<name>[^\s:：\[\]/][^\n:：/]{0,29}?)"
_TIMED = (
    re.compile(rf"{_TIME}[ \t-]*{_NAME}[ \t]*[:：][ \t]*(?P<text>.*)"),
    re.compile(rf"{_NAME}[ \t]+{_TIME}[ \t]*(?:[:：][ \t]*(?P<text>.*))?"),
    re.compile(rf"{_TIME}[ \t-]+{_NAME}(?P<text>)"),
)
_UNTIMED = re.compile(rf"{_NAME}[ \t]*[:：](?!//)[ \t]*(?P<text>.*)")
_PLACEHOLDER = re.compile(r"[\[【<](?:图片|图像|照片|image|picture|photo)[\]】>]", re.I)


@dataclass(frozen=True)
class _Line:
    """A line that may open a turn: who speaks, what follows on the same line, and whether it holds a time."""

    name: str
    text: str
    timed: bool


def as_prompt(text: str, n_pictures: int = 0) -> str:
    """A cell's text in the official dialogue frame; what is framed already stays as it is.

    One utterance without a name is the user's. Pictures stand where the export says ``[图片]`` or ``[image]``, if it
    does so once for each; otherwise before the user's first words.
    """
    if parse_prompt(text).marked:
        return text
    turns = read_chat(text) or parse_prompt(framed_dialogue([Turn("user", text)])).turns
    return framed_dialogue(_with_pictures(turns or [Turn("user", "")], n_pictures))


def read_chat(text: str) -> list[Turn]:
    """The turns of a chat export; empty if the text is none.

    A line opens a turn if its name is a role ("客服", "Customer"), occurs twice, or stands in the first line; without
    a role among them every name does, if each line has one. Other lines belong to the turn before them.

    Names that are no role are the user's beside an agent and the agent's beside a user; if no name is a role, the
    first to speak is the user.
    """
    lines = [line.strip() for line in text.strip().splitlines()]
    read = [_opening(line) for line in lines]
    if not read or not (first := read[0]):
        return []
    opened = [line for line in read if line]
    counts = Counter(line.name for line in opened)
    sure = {name for name, n in counts.items() if n > 1 or speaker_of(name)}
    if sum(line.timed for line in opened) > 1:
        sure |= {line.name for line in opened if line.timed}
    if not sure:
        return []
    if all(read) and not any(map(speaker_of, counts)):
        sure |= counts.keys()
    sides = _sides([name for name in counts if name in sure | {first.name}])
    return _turns(lines, read, sides)


def _opening(line: str) -> _Line | None:
    for pattern in (*_TIMED, _UNTIMED):
        if (found := pattern.fullmatch(line)) and re.search(r"[^\W\d]|\*", found["name"]):
            return _Line(found["name"].strip(), found["text"] or "", pattern is not _UNTIMED)
    return None


def _sides(names: Sequence[str]) -> dict[str, Speaker]:
    """The side of each name, given in the order in which they first speak."""
    known = {name: speaker_of(name) for name in names}
    taken = set(known.values()) - {None}
    if not taken:
        return {name: "agent" if index else "user" for index, name in enumerate(names)}
    other: Speaker = "agent" if taken == {"user"} else "user"
    return {name: side or other for name, side in known.items()}


def _turns(lines: Sequence[str], read: Sequence[_Line | None], sides: dict[str, Speaker]) -> list[Turn]:
    said: list[tuple[Speaker, list[str]]] = []
    for line, opening in zip(lines, read, strict=True):
        if opening and opening.name in sides:
            said.append((sides[opening.name], [opening.text] if opening.text else []))
        elif line:
            said[-1][1].append(line)
    return [Turn(speaker, "\n".join(texts)) for speaker, texts in said]


def _with_pictures(turns: Sequence[Turn], n_pictures: int) -> list[Turn]:
    """The turns with a tag for each picture, where they have none yet."""
    if not n_pictures or any(turn.n_images for turn in turns):
        return list(turns)
    if sum(len(_PLACEHOLDER.findall(turn.text)) for turn in turns) == n_pictures:
        return [Turn(turn.speaker, _PLACEHOLDER.sub(IMAGE_TAG, turn.text)) for turn in turns]
    index = next((index for index, turn in enumerate(turns) if turn.speaker == "user"), 0)
    tagged = Turn(turns[index].speaker, IMAGE_TAG * n_pictures + turns[index].text)
    return [*turns[:index], tagged, *turns[index + 1 :]]
