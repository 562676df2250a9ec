"""The records of a data file as plain JSON values, one at a time: from a JSON array, JSON lines, Parquet, CSV, XLSX.

``NaN``, which pandas writes for an empty cell, counts as null. An object with the same key twice is refused: readers
differ in which of the two values they take.
"""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mire.errors import DataError, missing_package, one_line, quoted, shortened
from mire.plain_files import check_plain_file
from mire.tables.files import is_table, table_records

_PARQUET = b"PAR1"
_BATCH_ROWS = 256


def read_records(path: Path) -> Iterator[Any]:
    """Yield the records in the file's order; for a broken line, yield its error as a value.

    The format is detected from the content; the name only tells CSV from broken lines of JSON. Lines, Parquet and
    CSV are streamed: one line, or one row group, is in memory at a time. An array is read whole.

    Raises:
        DataError: the file as a whole cannot be read: a device, no UTF-8, no JSON, no Parquet, no table, pyarrow is
            missing.
    """
    check_plain_file(path)
    with path.open("rb") as file:
        magic = file.read(len(_PARQUET))
    if magic == _PARQUET:
        yield from _parquet(path)
    elif is_table(path):
        yield from table_records(path)
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
    offset = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise _not_utf8(path, error, offset) from error
            offset += len(line)
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
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        at = line or error.lineno
        raise DataError(f"{what} is not valid JSON: {error.msg} (line {at}, column {error.colno})") from error
    except (RecursionError, ValueError) as error:  # nested without end, or a number of thousands of digits
        raise DataError(f"{what} is not a data file: {str(error).split('; use')[0]} (line {line or 1})") from error


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        ((twice, _),) = Counter(key for key, _ in pairs).most_common(1)
        raise _TwiceError(f"the key {quoted(twice)} stands twice in the object {quoted(made)}")
    return made


class _TwiceError(ValueError):
    """A key stands twice in one object."""


def _constant(name: str) -> float | None:
    return None if name == "NaN" else float(name)


_DECODER = json.JSONDecoder(object_pairs_hook=_unique_keys, parse_constant=_constant)


def _parquet(path: Path) -> Iterator[Any]:
    """Rows as JSON values; dates, bytes and the like become text."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise DataError(missing_package(f"{path} is Parquet, which", "pyarrow", "ray")) from error
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_BATCH_ROWS, use_threads=False):
                for row in batch.to_pylist():
                    yield _DECODER.decode(json.dumps(row, default=str))
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as Parquet: {shortened(one_line(error))}") from error
