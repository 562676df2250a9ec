"""What a request shows: a dialogue's turns and its pictures, from a text, from messages, or from any JSON."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ensemble.serve.limits import Limits, RefusedError
from ensemble.serve.questions import Posted, QuestionIn, TurnIn, ask, check_lengths
from mire.errors import quoted
from mire.labels import Task
from mire.prompts import IMAGE_TAG, Speaker, parse_prompt

_SPEAKERS: dict[str, Speaker] = {"user": "user", "assistant": "agent"}
_INSTRUCTING = ("system", "developer")
_TEXTS, _PICTURES = ("text", "input_text", "output_text"), ("image", "image_url", "input_image")


@dataclass(frozen=True)
class Content:
    """The turns, with ``<image>`` where a picture was sent, and the pictures in that order, as data URLs.

    ``instructions`` is what system and developer messages say: it helps to route a question, and no expert reads it.
    """

    turns: tuple[tuple[Speaker, str], ...]
    pictures: tuple[str, ...] = ()
    instructions: str = ""

    @property
    def is_picture_alone(self) -> bool:
        return self.turns == (("user", IMAGE_TAG),)

    def posted(self, task: Task, limits: Limits) -> Posted:
        """The question for one task's experts: those of pictures see the picture alone.

        Raises:
            RefusedError: as ``ensemble.serve.questions.ask``.
        """
        turns = [TurnIn(speaker=speaker, text=text) for speaker, text in self.turns] if task == "dialogue" else None
        return ask(QuestionIn(prompt=None, dialogue=turns, images=list(self.pictures)), (), limits)


def read_text(text: str, limits: Limits) -> Content:
    """A text: a dialogue if all of it is speakers' lines (``用户: …``, ``Agent: …``), else the user's only turn.

    Raises:
        RefusedError: it is too long (422) or empty (400).
    """
    check_lengths([text], limits)
    prompt = parse_prompt(_untagged(text))
    if prompt.turns and not prompt.instruction.strip():
        return _filled(Content(tuple((turn.speaker, turn.text) for turn in prompt.turns)))
    return _filled(Content((("user", _untagged(text)),)))


def read_messages(messages: Iterable[Any]) -> Content:
    """Messages ``{"role", "content"}``, whose content is a text or a list of parts, texts and pictures.

    Raises:
        RefusedError: something else than messages, texts and data URLs, or nothing at all (400).
    """
    turns: list[tuple[Speaker, str]] = []
    pictures: list[str] = []
    instructions: list[str] = []
    for number, message in enumerate(messages, start=1):
        role = _role(message, number)
        content = message.get("content")
        parts = [_part(part, number) for part in ([content] if isinstance(content, str) else _listed(content, number))]
        if role in _INSTRUCTING:
            instructions += [text for text, picture in parts if not picture]
            continue
        turns.append((_SPEAKERS[role], " ".join(text for text, _ in parts)))
        pictures += [picture for _, picture in parts if picture]
    return _filled(Content(tuple(turns), tuple(pictures), "\n".join(instructions)))


def words_of(value: Any) -> str:
    """Instructions or a description as one text: JSON where they are no string, empty where there are none.

    Raises:
        RefusedError: they are nested too deeply (400).
    """
    if value is None or isinstance(value, str):
        return value or ""
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError as error:
        raise RefusedError(400, "the body is nested too deeply") from error


def _filled(content: Content) -> Content:
    if not any(text.strip() for _, text in content.turns):
        raise RefusedError(400, "there is nothing to decide on: send a text, messages of a user, or a picture")
    return content


def _role(message: Any, number: int) -> str:
    if not isinstance(message, dict) or message.get("type", "message") != "message":
        raise RefusedError(400, f"message {number}: only messages with 'role' and 'content' are read")
    role = message.get("role")
    if role not in (*_SPEAKERS, *_INSTRUCTING):
        raise RefusedError(400, f"message {number}: 'role' must be user, assistant, system or developer")
    return str(role)


def _listed(content: Any, number: int) -> list[Any]:
    if not isinstance(content, list):
        raise RefusedError(400, f"message {number}: 'content' must be a text or a list of parts")
    return content


def _part(part: Any, number: int) -> tuple[str, str]:
    """A part's text, and its picture; the text of a picture is its tag."""
    if isinstance(part, str):
        return _untagged(part), ""
    kind = part.get("type") if isinstance(part, dict) else None
    if kind in _TEXTS and isinstance(part.get("text"), str):
        return _untagged(part["text"]), ""
    if kind in _PICTURES:
        return IMAGE_TAG, _data_url(part.get("image_url", part.get("image")), number)
    raise RefusedError(400, f"message {number}: a part must be a text or a picture, got {quoted(str(kind))}")


def _data_url(value: Any, number: int) -> str:
    url = value.get("url") if isinstance(value, dict) else value
    if not isinstance(url, str) or not url.startswith("data:") or "base64," not in url:
        raise RefusedError(
            400,
            f"message {number}: a picture must be a data URL (data:image/png;base64,...); no address is fetched",
        )
    return url


def _untagged(text: str) -> str:
    """The text with its own ``<image>`` in other brackets: pictures stand where their parts do."""
    return text.replace(IMAGE_TAG, "[image]")
