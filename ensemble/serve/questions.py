"""What a request asks, as a question whose pictures lie in a folder of the server's choosing."""

import base64
import binascii
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from ensemble.classify import Question
from ensemble.serve.limits import Limits, RefusedError
from mire.errors import DataError
from mire.images import load_image, picture_size
from mire.prompts import SPEAKER_NAMES, Speaker

_JPEG, _JPEG_SCAN = b"\xff\xd8\xff", b"\xff\xda"
_HEADS = (b"\x89PNG\r\n\x1a\n", _JPEG)
_PIECE_CHARACTERS = 2**20
"""Of base64; a multiple of four."""
MAX_SCANS = 200
"""Of a JPEG: progressive ones have about ten; metadata may hold the mark too."""


def _speaker(name: object) -> object:
    """A speaker by its name in a prompt, too."""
    return next((speaker for speaker, said in SPEAKER_NAMES.items() if name == said), name)


SpeakerIn = Annotated[
    Speaker, BeforeValidator(_speaker), WithJsonSchema({"enum": [*SPEAKER_NAMES, *SPEAKER_NAMES.values()]})
]


class TurnIn(BaseModel):
    """One turn of a dialogue; `<image>` stands where a picture was sent."""

    model_config = ConfigDict(extra="forbid")

    speaker: SpeakerIn
    text: str


class QuestionIn(BaseModel):
    """A picture alone, a dialogue with its pictures, or a whole prompt as the challenge writes it."""

    model_config = ConfigDict(extra="forbid")

    prompt: str | None = Field(None, description="A whole prompt; the router reads the task from it.")
    dialogue: list[TurnIn] | None = Field(None, description="The turns, first to last.")
    images: list[str] = Field([], description="Pictures in base64, in the order of the <image> tags.")


@dataclass(frozen=True)
class Posted:
    """A request, decoded: the question without its pictures, and their bytes."""

    question: Question
    pictures: tuple[bytes, ...]

    def question_in(self, folder: Path, limits: Limits) -> Question:
        """The question, its pictures written into ``folder`` under names that no request chooses.

        Raises:
            RefusedError: a picture's head cannot be read, or the pictures have too many pixels together (422).
        """
        paths = tuple(folder / str(number) for number in range(len(self.pictures)))
        n_pixels = 0
        for number, (path, data) in enumerate(zip(paths, self.pictures, strict=True), start=1):
            with _readable(number):
                check_format(data)
                path.write_bytes(data)
                width, height = picture_size(path)
            n_pixels += width * height
            if width * height > limits.max_pixels:
                raise RefusedError(
                    422, f"picture {number} has {width}x{height} pixels, at most {limits.max_pixels} are taken"
                )
            if n_pixels > limits.max_pixels_together:
                raise RefusedError(422, f"a request's pictures may have {limits.max_pixels_together} pixels together")
        return replace(self.question, images=paths)


def check_format(data: bytes) -> None:
    """Refuse what is no PNG, JPEG or WebP file, whose decoders alone a service needs, and what decodes for minutes.

    Raises:
        DataError: another format, or a JPEG of very many scans, each of which goes over all pixels.
    """
    if not (data.startswith(_HEADS) or (data[:4], data[8:12]) == (b"RIFF", b"WEBP")):
        raise DataError("neither PNG nor JPEG nor WebP")
    if data.startswith(_JPEG) and data.count(_JPEG_SCAN) > MAX_SCANS:
        raise DataError(f"a JPEG of more than {MAX_SCANS} scans")


def ask(body: QuestionIn, pictures: Sequence[bytes], limits: Limits) -> Posted:
    """Check a request's body; ``pictures`` are those that came as files, before the ones in base64.

    Raises:
        RefusedError: too much of something, text that is no Unicode, pictures that are no base64 (422).
    """
    turns = [(turn.speaker, turn.text) for turn in body.dialogue or ()]
    check_lengths([body.prompt or "", *(text for _, text in turns)], limits)
    if len(turns) > limits.max_turns:
        raise RefusedError(422, f"a dialogue may have {limits.max_turns} turns, got {len(turns)}")
    if len(pictures) + len(body.images) > limits.max_pictures:
        n_pictures = len(pictures) + len(body.images)
        raise RefusedError(422, f"at most {limits.max_pictures} pictures per request, got {n_pictures}")
    found = (*pictures, *(_decode(text, number) for number, text in enumerate(body.images, start=1)))
    return Posted(Question(prompt=body.prompt, dialogue=turns), found)


def check_lengths(texts: Sequence[str], limits: Limits) -> None:
    """Refuse texts of one sample before anything parses them.

    Raises:
        RefusedError: more characters or lines than the limits allow, or half a surrogate pair, which JSON can hold
            and tokenizers cannot (422).
    """
    n_characters, n_lines = sum(map(len, texts)), sum(text.count("\n") for text in texts)
    if n_characters > limits.max_characters:
        raise RefusedError(422, f"a text may have {limits.max_characters} characters, got {n_characters}")
    if n_lines > limits.max_lines:
        raise RefusedError(422, f"a text may have {limits.max_lines} lines, got {n_lines}")
    try:
        "".join(texts).encode()
    except UnicodeEncodeError as error:
        raise RefusedError(422, f"text must be Unicode, got {error.object[error.start]!a}") from error


def _decode(text: str, number: int) -> bytes:
    """A picture's bytes, piece by piece: decoding holds Python's lock, for which the event loop waits."""
    sent = text.partition("base64,")[2] if text.startswith("data:") else text
    pieces = (sent[offset : offset + _PIECE_CHARACTERS] for offset in range(0, len(sent), _PIECE_CHARACTERS))
    try:
        return b"".join(base64.b64decode(piece, validate=True) for piece in pieces)
    except (binascii.Error, ValueError) as error:
        raise RefusedError(422, f"picture {number} is not base64: {error}") from error


def check_pictures(paths: Sequence[Path]) -> None:
    """Decode pictures, one at a time.

    Raises:
        RefusedError: one cannot be decoded (422).
    """
    for number, path in enumerate(paths, start=1):
        with _readable(number):
            load_image(path)


@contextmanager
def _readable(number: int) -> Iterator[None]:
    try:
        yield
    except DataError as error:
        raise RefusedError(422, f"picture {number} cannot be read; send a PNG, JPEG or WebP file") from error
