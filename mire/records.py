"""The records of a data file as plain JSON values, one at a time: a JSON array, JSON Lines, or Parquet."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mire.errors import DataError

_PARQUET = b"PAR1"
_BATCH_ROWS = 256


def read_records(path: Path) -> Iterator[Any]:
    """Yield the records in the file's order; for a broken line, yield its error as a value.

    The format is detected from the content, not the name. Lines and Parquet are streamed: one line, or one row
    group, is in memory at a time. An array is read whole.

    Raises:
        DataError: the file as a whole cannot be read: no UTF-8, no JSON, no Parquet, or pyarrow is missing.
    """
    with path.open("rb") as file:
        magic = file.read(len(_PARQUET))
    if magic == _PARQUET:
        yield from _parquet(path)
    elif _opens_array(path):
        yield from _json(_text(path), str(path), line=None)
    else:
        yield from _lines(path)


def _opens_array(path: Path) -> bool:
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        while block := file.read(1024):
            if begun := block.lstrip():
                return begun.startswith("[")
    return False


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise _not_utf8(path, error, 0) from error


def _lines(path: Path) -> Iterator[Any]:
    place = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise _not_utf8(path, error, place) from error
            place += len(line)
            if text.strip():
                yield _json_or_fault(text.removesuffix("\n"), number)


def _json_or_fault(text: str, line: int) -> Any:
    try:
        return _json(text, "a record", line=line)
    except DataError as error:
        return error


def _not_utf8(path: Path, error: UnicodeDecodeError, start: int) -> DataError:
    return DataError(f"{path} must be UTF-8: {error.reason} at byte {start + error.start}")


def _json(text: str, what: str, *, line: int | None) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        at = line or error.lineno
        raise DataError(f"{what} is not valid JSON: {error.msg} (line {at}, column {error.colno})") from error
    except (RecursionError, ValueError) as error:  # nested too deeply, or a number of thousands of digits
        raise DataError(f"{what} is not a data file: {str(error).split(';')[0]} (line {line or 1})") from error


def _parquet(path: Path) -> Iterator[Any]:
    """Rows as JSON values; dates, bytes and the like become text."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise DataError(f"{path} is Parquet, which needs pyarrow: pip install 'mire[ray]'") from error
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_BATCH_ROWS, use_threads=False):
                for row in batch.to_pylist():
                    yield json.loads(json.dumps(row, default=str))
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as Parquet: {' '.join(str(error).split())}") from error
