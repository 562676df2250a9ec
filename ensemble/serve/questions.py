"""What a request asks, turned into a sample whose pictures lie in a folder of the server's choosing."""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ensemble.serve.limits import Limits, RefusedError
from mire.errors import DataError
from mire.images import load_image
from mire.labels import builtin_taxonomy
from mire.prompts import (
    DIALOGUE_END,
    IMAGE_TAG,
    OFFICIAL_DIALOGUE_HEAD,
    OFFICIAL_IMAGE_HEAD,
    SPEAKER_NAMES,
    Prompt,
    Turn,
    parse_prompt,
)
from mire.samples import Sample


class TurnIn(BaseModel):
    """One turn of a dialogue; `<image>` stands where a picture was sent."""

    model_config = ConfigDict(extra="forbid")

    speaker: Literal["user", "agent"]
    text: str


class QuestionIn(BaseModel):
    """A picture alone, a dialogue with its pictures, or a whole prompt as the challenge writes it."""

    model_config = ConfigDict(extra="forbid")

    prompt: str | None = Field(None, description="A whole prompt; the router reads the task from it.")
    dialogue: list[TurnIn] | None = Field(None, description="The turns, first to last.")
    images: list[str] = Field([], description="Pictures in base64, in the order of the <image> tags.")


@dataclass(frozen=True)
class Question:
    """A request, decoded: its prompt, and the bytes of its pictures."""

    prompt: Prompt
    pictures: tuple[bytes, ...]

    def sample(self, folder: Path, limits: Limits) -> Sample:
        """The sample, its pictures written into ``folder`` under names that no request chooses.

        Raises:
            RefusedError: a picture cannot be read or has too many pixels (422).
        """
        paths = tuple(folder / str(number) for number in range(len(self.pictures)))
        for number, (path, data) in enumerate(zip(paths, self.pictures, strict=True), start=1):
            path.write_bytes(data)
            _check_picture(path, number, limits)
        return Sample(id="request", prompt=self.prompt, images=paths)


def ask(body: QuestionIn, pictures: Sequence[bytes], limits: Limits) -> Question:
    """Check a request's body; ``pictures`` are those that came as files, before the ones in base64.

    Raises:
        RefusedError: too much of something, nothing to classify, or tags and pictures that do not match (422).
    """
    found = (*pictures, *(_decode(text, number) for number, text in enumerate(body.images, start=1)))
    if len(found) > limits.max_pictures:
        raise RefusedError(422, f"at most {limits.max_pictures} pictures a request, got {len(found)}")
    turns = [Turn(turn.speaker, turn.text) for turn in body.dialogue or ()]
    n_characters = len(body.prompt or "") + sum(len(turn.text) for turn in turns)
    if n_characters > limits.max_characters or len(turns) > limits.max_turns:
        raise RefusedError(
            422,
            f"at most {limits.max_characters} characters and {limits.max_turns} turns, got {n_characters} and "
            f"{len(turns)}",
        )
    _check_unicode([body.prompt or "", *(turn.text for turn in turns)])
    prompt = _prompt(body.prompt, turns, len(found))
    if prompt.n_images != len(found):
        raise RefusedError(
            422, f"every {IMAGE_TAG} needs its picture, got {prompt.n_images} tags and {len(found)} pictures"
        )
    return Question(prompt, found)


def _prompt(text: str | None, turns: Sequence[Turn], n_pictures: int) -> Prompt:
    if text is not None and turns:
        raise RefusedError(422, "give a prompt or a dialogue, not both")
    if text is not None and text.strip():
        return parse_prompt(text)
    if any(turn.text.strip() for turn in turns):
        return dialogue_prompt(turns)
    if n_pictures == 1:
        return parse_prompt(f"{OFFICIAL_IMAGE_HEAD}，{_label_list('image')}")
    raise RefusedError(422, "nothing to classify: send one picture, a dialogue, or a prompt")


def dialogue_prompt(turns: Sequence[Turn]) -> Prompt:
    """The official frame around turns. It is put together, not parsed: no words of a turn can open another."""
    said = "".join(f"{SPEAKER_NAMES[turn.speaker]}: {turn.text}\n" for turn in turns)
    tail = f"{DIALOGUE_END}\n{_label_list('dialogue')}"
    return Prompt(f"{OFFICIAL_DIALOGUE_HEAD}{said}{tail}", OFFICIAL_DIALOGUE_HEAD, tuple(turns), tail)


def _label_list(task: Literal["image", "dialogue"]) -> str:
    labels = json.dumps(builtin_taxonomy(task).printed, ensure_ascii=False, separators=(",", ":"))
    return f"请直接只输出分类标签结果，不需要其他多余的话。以下是可以参考的分类标签为：{labels}\n"


def _check_unicode(texts: Sequence[str]) -> None:
    """JSON can hold half a surrogate pair, tokenizers cannot."""
    try:
        "".join(texts).encode()
    except UnicodeEncodeError as error:
        raise RefusedError(422, f"text must be Unicode, got {error.object[error.start]!a}") from error


def _decode(text: str, number: int) -> bytes:
    try:
        return base64.b64decode(text.partition("base64,")[2] if text.startswith("data:") else text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise RefusedError(422, f"picture {number} is not base64: {error}") from error


def _check_picture(path: Path, number: int, limits: Limits) -> None:
    from PIL import Image

    try:
        with Image.open(path) as picture:
            width, height = picture.size
        if width * height <= limits.max_pixels:
            load_image(path)
            return
    except (DataError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise RefusedError(422, f"picture {number} cannot be read; send a PNG, JPEG or WebP file") from error
    raise RefusedError(422, f"picture {number} has {width}x{height} pixels, at most {limits.max_pixels} are taken")
