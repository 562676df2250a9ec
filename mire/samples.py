"""Read samples: official JSON, JSONL or Parquet, ShareGPT, and tables with columns for text and pictures."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mire.errors import DataError, quoted, shortened
from mire.images import MAX_DECODED_PIXELS, NO_PICTURE, missing_problem, picture_problem, resolve_image
from mire.prompts import IMAGE_TAG, OFFICIAL_IMAGE_HEAD, Prompt, Turn, parse_prompt
from mire.records import read_records
from mire.tables.chats import as_prompt
from mire.tables.columns import cell_text, find_columns, picture_names

OFFICIAL_COLUMNS = ("id", "instruction", "input", "output", "image")
_MAX_FAULTS_SHOWN = 20
MAX_PICTURES = 64
"""Of one sample: each is looked for on the disk."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_ODD_CHARACTERS = {
    "control characters": re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]"),
    "marks that turn the reading direction": re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]"),
}


@dataclass(frozen=True)
class Sample:
    """One sample. It has no task: the router reads the task from the prompt.

    ``images`` are paths in the order of the prompt's ``<image>`` tags, ``NO_PICTURE`` for one that was
    refused. ``label`` is None where unknown.
    ``problems`` names what was repaired or is missing; a prediction for such a sample is marked as degraded.
    ``row`` is the record as the file holds it, for the submission's columns; ``number`` counts records from 1.
    """

    id: str
    prompt: Prompt
    images: tuple[Path, ...] = ()
    label: str | None = None
    problems: tuple[str, ...] = ()
    row: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    number: int = field(default=0, repr=False, compare=False)

    @property
    def turns(self) -> tuple[Turn, ...]:
        return self.prompt.turns


def read_samples(
    path: Path, images: Path | None = None, *, max_decoded_pixels: int = MAX_DECODED_PIXELS
) -> list[Sample]:
    """Read every sample of ``path``; picture names are relative to ``images``.

    Without ``images`` the samples carry no pictures (routing and scoring need none). A picture
    that is missing, unreadable, too large or outside the folder is a problem of its sample, not an error.

    Raises:
        DataError: the file cannot be parsed, a record breaks the format, or two share an id; all
            faults are reported together.
    """
    samples, faults = scan(path, images, max_decoded_pixels=max_decoded_pixels)
    if faults:
        raise DataError(fault_text(path, faults))
    return samples


def scan(
    path: Path, images: Path | None = None, *, max_decoded_pixels: int = MAX_DECODED_PIXELS
) -> tuple[list[Sample], list[str]]:
    """As ``read_samples``, but returns the samples that can be read and one line per record that cannot.

    Raises:
        DataError: the file as a whole cannot be read: no UTF-8, no JSON, no sample, no picture folder.
    """
    samples: list[Sample] = []
    faults: list[str] = []
    seen: dict[str, int] = {}
    for sample in each_sample(path, images, max_decoded_pixels=max_decoded_pixels):
        if isinstance(sample, str):
            faults.append(sample)
            continue
        if sample.id in seen:
            faults.append(twice(sample, seen[sample.id]))
        seen.setdefault(sample.id, sample.number)
        samples.append(sample)
    if not samples and not faults:
        raise DataError(f"{path} holds no sample")
    return samples, faults


def each_sample(
    path: Path, images: Path | None = None, *, max_decoded_pixels: int = MAX_DECODED_PIXELS
) -> Iterator[Sample | str]:
    """Yield the samples in the file's order; for a record that cannot be read, a line that says why.

    Ids may repeat: nothing is kept between records.

    Raises:
        DataError: as ``scan``, but for a file without samples.
    """
    if images is not None and not images.is_dir():
        raise DataError(f"the picture folder {images} is not a folder; pass the right one with --images")
    for number, record in enumerate(read_records(path), start=1):
        try:
            if isinstance(record, DataError):
                yield str(record)
            else:
                yield _sample(record, number, images, max_decoded_pixels)
        except DataError as error:
            yield f"{_where(number, record)}: {error}"


def known_sample(record: Mapping[str, Any], *, images: tuple[Path, ...], problems: tuple[str, ...]) -> Sample:
    """Rebuild a sample that was read from ``record`` before; its pictures are not checked again, its row is empty."""
    text, label, _ = _parts(record)
    prompt = parse_prompt(_readable(text)[0])
    return Sample(id=_id(record), prompt=prompt, images=images, label=label or None, problems=problems)


def named_pictures(sample: Sample) -> list[str]:
    """The names of the sample's pictures as its file has them."""
    return _parts(sample.row)[2]


def twice(sample: Sample, number: int) -> str:
    """The fault of a sample whose id record ``number`` has too."""
    return f"record {sample.number}: ids must be unique, {quoted(sample.id)} is also record {number}"


def _where(number: int, record: Any) -> str:
    name = record.get("id") if isinstance(record, dict) else None
    return f"record {number}, id {quoted(name)}" if isinstance(name, str) and name else f"record {number}"


def fault_text(path: Path, faults: Sequence[str]) -> str:
    """One error text for all faults: a single fault is one line, of many the first ones are listed."""
    if len(faults) == 1:
        return f"{path}: {faults[0]}"
    shown = "\n  ".join(faults[:_MAX_FAULTS_SHOWN])
    more = f"\n  and {len(faults) - _MAX_FAULTS_SHOWN} more" if len(faults) > _MAX_FAULTS_SHOWN else ""
    return f"{path}: {len(faults)} faults\n  {shown}{more}"


def _sample(record: Any, number: int, images: Path | None, max_decoded_pixels: int) -> Sample:
    if not isinstance(record, dict):
        raise DataError(f"a record must be an object, got {type(record).__name__}")
    if (_is_chat(record) or _is_plain(record)) and record.get("id") is None:
        record = {**record, "id": f"row-{number}"}
    text, label, names = _parts(record)
    if len(names) > MAX_PICTURES:
        raise DataError(f"a sample may name {MAX_PICTURES} pictures, got {len(names)}")
    text, problems = _readable(text)
    problems += _unread(record, text)
    prompt = parse_prompt(text)
    paths: list[Path] = []
    if images is not None:
        for name in names:
            path, problem = _picture(images, name, max_decoded_pixels)
            paths.append(path)
            problems += [problem] if problem else []
        if prompt.n_images != len(names):
            problems.append(f"{prompt.n_images} <image> tags but {len(names)} pictures")
    return Sample(
        id=_id(record),
        prompt=prompt,
        images=tuple(paths),
        label=label or None,
        problems=tuple(problems),
        row=record,
        number=number,
    )


def _parts(record: Mapping[str, Any]) -> tuple[str, str, list[str]]:
    """Prompt, label and pictures, as the record's format holds them."""
    if _is_plain(record):
        return _plain_parts(record)
    return _sharegpt_parts(record) if _is_chat(record) else _official_parts(record)


def _is_chat(record: Mapping[str, Any]) -> bool:
    """Whether it is ShareGPT's format, where an id is not usual: a record without one is ``row-`` and its place."""
    return "messages" in record or "conversations" in record


def _is_plain(record: Mapping[str, Any]) -> bool:
    """Whether it has neither the official keys nor messages, but text or pictures under one of their usual names."""
    if _is_chat(record) or record.keys() & {"instruction", "input"}:
        return False
    try:
        return bool(find_columns(tuple(record)))
    except DataError:
        return False


def _plain_parts(record: Mapping[str, Any]) -> tuple[str, str, list[str]]:
    """A text or a chat becomes a dialogue, with its pictures if it has any; one picture alone is a scene."""
    columns = find_columns(tuple(record))
    text, label = cell_text(record, columns.text), cell_text(record, columns.label)
    names = picture_names(record.get(columns.image)) if columns.image else []
    return OFFICIAL_IMAGE_HEAD if not text and len(names) == 1 else as_prompt(text, len(names)), label, names


def _readable(text: str) -> tuple[str, list[str]]:
    """Replace lone surrogates, which no tokenizer accepts, and name whatever is unusual about the text.

    Other unusual characters stay: removing them could join separate characters into a tag or a mark.
    """
    mended, n_mended = _SURROGATE.subn("\ufffd", text)
    problems = [f"{n_mended} lone surrogates were replaced"] if n_mended else []
    for name, pattern in _ODD_CHARACTERS.items():
        if n_odd := len(pattern.findall(text)):
            problems.append(f"{n_odd} {name} in the text")
    return mended, problems


def _unread(record: Mapping[str, Any], text: str) -> list[str]:
    """What other tools would read of the record and this one does not."""
    problems = ["the record's 'history' is not read: a dialogue stands in its prompt"] if record.get("history") else []
    if "<img>" in text and not record.get("image"):
        problems.append(f"an <img> tag is not read: a picture is {IMAGE_TAG} in the prompt and a name in 'image'")
    return problems


def _picture(images: Path, name: str, max_decoded_pixels: int) -> tuple[Path, str | None]:
    """The picture's path, or ``NO_PICTURE`` and why it is refused."""
    try:
        path = resolve_image(images, name)
    except DataError as error:
        return NO_PICTURE, str(error)
    if problem := missing_problem(images, name, path):
        return NO_PICTURE, problem
    problem = picture_problem(path, max_decoded_pixels=max_decoded_pixels)
    return NO_PICTURE if problem else path, problem


def _id(record: Mapping[str, Any]) -> str:
    value = record.get("id")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value:
        raise DataError(f"'id' must be a non-empty string, got {quoted(value)}")
    if _SURROGATE.search(value) or _ODD_CHARACTERS["control characters"].search(value) or "\n" in value:
        raise DataError(f"'id' must be text without control characters and lone surrogates, got {quoted(value)}")
    return value


def _official_parts(record: Mapping[str, Any]) -> tuple[str, str, list[str]]:
    missing = [key for key in ("id", "instruction") if key not in record]
    instruction, extra = _string(record, "instruction"), _string(record, "input")
    text = f"{instruction}\n{extra}" if extra else instruction
    if IMAGE_TAG in text and not record.keys() & {"image", "images"}:
        missing.append("image")
    if missing:
        have = shortened(", ".join(map(str, record)) or "nothing")
        raise DataError(
            f"missing {', '.join(map(repr, missing))} (the official columns are "
            f"{', '.join(OFFICIAL_COLUMNS)}; this record has {have})"
        )
    return text, _string(record, "output"), _names(record)


def _sharegpt_parts(record: Mapping[str, Any]) -> tuple[str, str, list[str]]:
    """Prompt, label and pictures of a ShareGPT record: one user message, at most one answer."""
    key, role, content = ("messages", "role", "content") if "messages" in record else ("conversations", "from", "value")
    messages = record[key]
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise DataError(f"{key!r} must be a list of objects, got {type(messages).__name__}")
    said: dict[str, list[str]] = {"system": [], "user": [], "assistant": []}
    names = {"human": "user", "gpt": "assistant"}
    for message in messages:
        speaker = names.get(str(message.get(role)), str(message.get(role)))
        if speaker not in said:
            raise DataError(f"{key!r} must come from system, user/human or assistant/gpt, got {quoted(speaker)}")
        said[speaker].append(_string(message, content))
    if len(said["user"]) != 1 or len(said["assistant"]) > 1:
        raise DataError(
            f"{key!r} must hold one user message and at most one answer, got "
            f"{len(said['user'])} and {len(said['assistant'])}"
        )
    return said["user"][0], "".join(said["assistant"]), _names(record)


def _string(record: Mapping[str, Any], key: str) -> str:
    value = record.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise DataError(f"{key!r} must be a string, got {type(value).__name__}")
    return value


def _names(record: Mapping[str, Any]) -> list[str]:
    """The pictures' names: ``image`` (official, LLaVA) or ``images`` (LLaMA-Factory), one or a list of them."""
    key = "image" if record.get("image") else "images" if record.get("images") else "image"
    value = record.get(key) or []
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise DataError(f"{key!r} must be a list of file names, got {quoted(value)}")
    return names
