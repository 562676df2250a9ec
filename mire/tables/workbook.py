"""Rows of the first sheet of an XLSX file, which a stranger may have sent."""

import datetime
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mire.errors import DataError, quoted, shortened

MAX_BYTES = 256 * 2**20
"""That a workbook may unpack to; a sheet of 100,000 rows with short texts takes about 20 MiB."""
_MAX_MEMBERS, _MAX_ROWS, _MAX_COLUMNS = 10_000, 2**20, 256
_ZIP = b"PK\x03\x04"


def is_workbook(path: Path) -> bool:
    """Whether a file can be XLSX, which is a zip, by its first bytes."""
    with path.open("rb") as file:
        return file.read(len(_ZIP)) == _ZIP


def check_size(path: Path, max_bytes: int | None = None) -> None:
    """Refuse a workbook that would unpack to much more than anybody's table; zipfile holds it to what it announces.

    Raises:
        DataError: it is too large, or no zip.
    """
    try:
        with zipfile.ZipFile(path) as opened:
            members = opened.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise DataError(f"{path} is not an XLSX file: {shortened(str(error))}") from error
    max_bytes = max_bytes or MAX_BYTES
    n_bytes = sum(member.file_size for member in members)
    if n_bytes > max_bytes or len(members) > _MAX_MEMBERS:
        raise DataError(f"{path} unpacks to {n_bytes} bytes, at most {max_bytes} are read; save its table as CSV")


def workbook_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Each row of the first sheet with its number; a formula counts as the value that was saved with it.

    Raises:
        DataError: the file cannot be read, or a formula has no value.
    """
    check_size(path)
    import openpyxl  # late: most data files are none

    content = path.read_bytes()
    # openpyxl lets errors of every kind through: its parsers', zipfile's, and its own slips on odd files.
    try:
        sheets = [
            openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=values, keep_links=False).worksheets[
                0
            ]
            for values in (True, False)
        ]
        for sheet in sheets:
            sheet.reset_dimensions()  # other programs' files announce too few rows
        # Without a last column, rows that the file leaves out cost nothing, however many it leaves out.
        pairs = zip(*(sheet.iter_rows(max_row=_MAX_ROWS) for sheet in sheets), strict=True)
        for number, (values, formulas) in enumerate(pairs, start=1):
            if len(values) > _MAX_COLUMNS:
                raise DataError(f"row {number}: {len(values)} columns, at most {_MAX_COLUMNS} are read")
            yield number, [_text(*cells, number) for cells in zip(values, formulas, strict=True)]
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    except Exception as error:
        raise DataError(f"{path} cannot be read as XLSX: {shortened(' '.join(str(error).split()))}") from error


def _text(cell: Any, formula: Any, number: int) -> str:
    """A cell as a person sees it: 12 and not 12.0, a date without a midnight."""
    value = cell.value
    if value is None:
        if formula.data_type == "f":
            raise DataError(
                f"row {number}: the formula {quoted(str(formula.value))} has no value; open the file in a spreadsheet "
                "and save it, or paste the values"
            )
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return value.date().isoformat()
    return str(value)
