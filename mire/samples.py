"""Read samples: the official JSON, a JSONL of the same, and ShareGPT, into one frozen ``Sample``."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mire.errors import DataError
from mire.images import resolve_image
from mire.prompts import IMAGE_TAG, Prompt, Turn, parse_prompt

OFFICIAL_COLUMNS = ("id", "instruction", "input", "output", "image")
_MAX_FAULTS_SHOWN = 20


@dataclass(frozen=True)
class Sample:
    """One sample. It does not know its task: the router reads that from the prompt.

    ``images`` are paths in the order of the prompt's ``<image>`` tags. ``label`` is None where unknown.
    ``problems`` names what was mended or is missing; a prediction for such a sample is marked as degraded.
    ``row`` is the record as the file holds it, for the submission's columns.
    """

    id: str
    prompt: Prompt
    images: tuple[Path, ...] = ()
    label: str | None = None
    problems: tuple[str, ...] = ()
    row: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def turns(self) -> tuple[Turn, ...]:
        return self.prompt.turns


def read_samples(path: Path, images: Path | None = None) -> list[Sample]:
    """Read every sample of ``path``; pictures are looked for under ``images``.

    Without ``images`` the samples carry no pictures (routing and scoring need none).

    Raises:
        DataError: the file cannot be parsed, a record breaks the format, or two share an id; all
            faults are named at once.
    """
    if images is not None and not images.is_dir():
        raise DataError(f"the picture folder must be a folder: {images} is none; pass it with --images")
    samples: list[Sample] = []
    faults: list[str] = []
    seen: dict[str, int] = {}
    for number, record in enumerate(_records(path), start=1):
        try:
            sample = _sample(record, images)
        except DataError as error:
            faults.append(f"record {number}: {error}")
            continue
        if sample.id in seen:
            faults.append(f"record {number}: ids must be unique, {sample.id!r} is also record {seen[sample.id]}")
        seen.setdefault(sample.id, number)
        samples.append(sample)
    if faults:
        raise DataError(_fault_text(path, faults))
    if not samples:
        raise DataError(f"{path} holds no sample")
    return samples


def _fault_text(path: Path, faults: Sequence[str]) -> str:
    shown = "\n  ".join(faults[:_MAX_FAULTS_SHOWN])
    more = f"\n  and {len(faults) - _MAX_FAULTS_SHOWN} more" if len(faults) > _MAX_FAULTS_SHOWN else ""
    return f"{path}: {len(faults)} records break the format\n  {shown}{more}"


def _records(path: Path) -> Iterator[Any]:
    """The records of a JSON array, or of a file with one JSON object a line."""
    text = _text(path)
    if text.lstrip().startswith("["):
        yield from _json(text, path, line=None)
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield _json(line, path, line=number)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} must be UTF-8: {error.reason} at byte {error.start}") from error


def _json(text: str, path: Path, *, line: int | None) -> Any:
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        if isinstance(error, RecursionError):
            raise DataError(f"{path} is nested too deeply for a data file") from error
        at = line or error.lineno
        raise DataError(f"{path} is not valid JSON: {error.msg} (line {at}, column {error.colno})") from error


def _sample(record: Any, images: Path | None) -> Sample:
    if not isinstance(record, dict):
        raise DataError(f"a record must be an object, got {type(record).__name__}")
    if "messages" in record or "conversations" in record:
        text, label, names = _sharegpt_parts(record)
    else:
        text, label, names = _official_parts(record)
    prompt = parse_prompt(text)
    paths: list[Path] = []
    problems: list[str] = []
    if images is not None:
        for name in names:
            path = resolve_image(images, name)
            paths.append(path)
            if not path.is_file():
                problems.append(f"picture {name!r} is missing")
        if prompt.n_images != len(names):
            problems.append(f"{prompt.n_images} <image> tags but {len(names)} pictures")
    return Sample(
        id=_id(record),
        prompt=prompt,
        images=tuple(paths),
        label=label or None,
        problems=tuple(problems),
        row=record,
    )


def _id(record: Mapping[str, Any]) -> str:
    value = record.get("id")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value:
        raise DataError(f"'id' must be a non-empty string, got {value!r}")
    return value


def _official_parts(record: Mapping[str, Any]) -> tuple[str, str, list[str]]:
    needed = ["id", "instruction"] + ["image"] * (IMAGE_TAG in str(record.get("instruction")))
    missing = [key for key in needed if key not in record]
    if missing:
        have = ", ".join(map(str, record)) or "nothing"
        raise DataError(
            f"missing {', '.join(map(repr, missing))} (the official columns are "
            f"{', '.join(OFFICIAL_COLUMNS)}; this record has {have})"
        )
    instruction = _string(record, "instruction")
    extra = _string(record, "input")
    text = f"{instruction}\n{extra}" if extra else instruction
    return text, _string(record, "output"), _names(record, "image")


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
            raise DataError(f"{key!r} must come from system, user/human or assistant/gpt, got {speaker!r}")
        said[speaker].append(_string(message, content))
    if len(said["user"]) != 1 or len(said["assistant"]) > 1:
        raise DataError(
            f"{key!r} must hold one user message and at most one answer, got "
            f"{len(said['user'])} and {len(said['assistant'])}"
        )
    return said["user"][0], "".join(said["assistant"]), _names(record, "images")


def _string(record: Mapping[str, Any], key: str) -> str:
    value = record.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise DataError(f"{key!r} must be a string, got {type(value).__name__}")
    return value


def _names(record: Mapping[str, Any], key: str) -> list[str]:
    value = record.get(key) or []
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise DataError(f"{key!r} must be a list of file names, got {value!r}")
    return names
