"""Files that are written whole or not at all, whatever ends the process, and JSON files that are read as models."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TypeVar

from pydantic import TypeAdapter, ValidationError

from mire.errors import PanelError
from mire.plain_files import writable_file

Model = TypeVar("Model")


@contextmanager
def atomic_write(path: Path, *, encoding: str = "utf-8") -> Iterator[IO[str]]:
    """A text file that takes its name only when all of it is on the disk; until then the old one stays.

    A link stays one: the file that it leads to is written. A lone surrogate in a customer's text must not cost the
    whole file: it is written as ``\\ud800``.
    One process at a time may write a path. An unfinished file of a killed process is removed by the next one, and so is
    a link that was planted under its name: it is never followed.

    Raises:
        DataError: as ``writable_file``.
        OSError: the disk is full, or the folder cannot be written; nothing is left behind then.
    """
    path = writable_file(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    try:
        temporary.unlink(missing_ok=True)
        with temporary.open("x", encoding=encoding, errors="backslashreplace", newline="") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file in one piece, with ``atomic_write``.

    Raises:
        OSError: as ``atomic_write``.
    """
    with atomic_write(path) as file:
        file.write(text)


def read_model(path: Path, model: type[Model], *, next_step: str) -> Model:
    """Read a panel's JSON file as a pydantic model, or as a type of them (``dict[str, Model]``).

    Raises:
        PanelError: the file is missing or broken; the message ends with ``next_step``.
    """
    try:
        return TypeAdapter(model).validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise PanelError(f"{path} is missing; {next_step}") from error
    except ValidationError as error:
        raise PanelError(f"{path} is broken: {error.errors()[0]['msg']}; {next_step}") from error
