"""Rows of CSV and XLSX files as records: the header's names, and each row's cells as text."""

import csv
import logging
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from mire.errors import DataError, quoted, shortened
from mire.tables.columns import find_columns, picture_names, squeezed
from mire.tables.workbook import MAX_COLUMNS, is_workbook, workbook_rows

logger = logging.getLogger(__name__)

Row = tuple[int, list[str]]
"""A row's number in the spreadsheet (from 1), and its cells."""
OFFICIAL = "instruction"
"""A table with this column has the challenge's columns."""
_TABLES, _OTHERS = (".csv", ".tsv"), (".json", ".jsonl", ".ndjson", ".parquet")
_OLD_WORKBOOK = b"\xd0\xcf\x11\xe0"
_EMPTY = ("nan", "#n/a", "null")
"""What programs write for an empty cell."""
_DELIMITERS = ",\t;"
_BLOCK, _MAX_CELL = 2**20, 2**17
"""Bytes that are decoded at once; characters of a cell."""


def is_table(path: Path) -> bool:
    """Whether a file is CSV or XLSX: by its first bytes, by its name, or because it cannot be JSON.

    Raises:
        DataError: it is a workbook of Excel before 2007.
    """
    with path.open("rb") as file:
        head = file.read(1024)
    if head.startswith(_OLD_WORKBOOK):
        raise DataError(f"{path} is an old Excel workbook (.xls); save it as .xlsx or .csv")
    suffix = path.suffix.casefold()
    if is_workbook(path) or suffix in _TABLES:
        return True
    begun = head.removeprefix(BOM_UTF8).lstrip()
    return suffix not in _OTHERS and bool(begun) and not begun.startswith((b"[", b"{"))


def table_records(path: Path) -> Iterator[dict[str, object] | DataError]:
    """One record per row that is not blank, by the header's names; for a row that does not fit them, its error.

    A row without an id is ``row-`` and its number in the spreadsheet.

    Raises:
        DataError: the file cannot be read, has no usable header, or a quotation mark or a formula breaks it off.
    """
    rows = table_rows(path)
    _, names = next(rows, (0, []))
    if not names:
        return
    official = OFFICIAL in names
    try:
        key = "id" if official else find_columns(tuple(names)).id
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    for number, cells in rows:
        if len(cells) > len(names):
            yield DataError(
                f"row {number}: {len(cells)} cells, the header has {len(names)}; quote a text that holds the separator"
            )
            continue
        record: dict[str, object] = dict(zip(names, cells + [""] * (len(names) - len(cells)), strict=True))
        if official and "image" in record:
            record["image"] = picture_names(record["image"])
        yield {"id": (record.get(key) if key else None) or f"row-{number}"} | {
            name: value for name, value in record.items() if name != "id"
        }


def table_rows(path: Path) -> Iterator[Row]:
    """The header, then every row that is not blank; cells are stripped, and empty at their end left out.

    Raises:
        DataError: as ``table_records``; two columns share a name, or one with cells has none.
    """
    rows = workbook_rows(path) if is_workbook(path) else _csv_rows(path)
    names: list[str] = []
    for number, found in rows:
        cells = [_cell(cell) for cell in found]
        while cells and not cells[-1]:
            cells.pop()
        if not cells:
            continue
        if not names:
            names = cells
            _check_header(names, path)
        yield number, cells


def _cell(text: str) -> str:
    text = text.strip()
    return "" if text.casefold() in _EMPTY else text


def _check_header(names: Sequence[str], path: Path) -> None:
    if not all(names):
        raise DataError(f"{path}: column {names.index('') + 1} of the first row has no name; give each column one")
    if len(names) > MAX_COLUMNS:
        raise DataError(f"{path}: {len(names)} columns, at most {MAX_COLUMNS} are read")
    times = Counter(map(squeezed, names))
    if twice := [name for name in names if times[squeezed(name)] > 1]:
        raise DataError(f"{path}: the columns must have different names, {quoted(twice[0])} stands twice")


def _csv_rows(path: Path) -> Iterator[Row]:
    number = 0
    encoding = _encoding(path)
    csv.field_size_limit(_MAX_CELL)  # other libraries raise it for the whole process: an open quote would end nowhere
    with path.open(encoding=encoding, newline="") as file:
        first = file.readline()
        file.seek(0)
        try:
            delimiter = max(_DELIMITERS, key=first.count)
            for number, cells in enumerate(csv.reader(file, delimiter=delimiter, strict=True), start=1):
                yield number, cells
        except csv.Error as error:
            raise DataError(f"{path}: row {number + 1} is not valid CSV: {shortened(str(error))}") from error


def _encoding(path: Path) -> str:
    """UTF-8, UTF-16 with its mark, or GB18030, which holds GBK and GB2312.

    Raises:
        DataError: it is none of them.
    """
    with path.open("rb") as file:
        if file.read(2) in (BOM_UTF16_LE, BOM_UTF16_BE):
            return "utf-16"
    for encoding in ("utf-8-sig", "gb18030"):
        if _decodes(path, encoding):
            if encoding == "gb18030":
                logger.info(f"{path} is not UTF-8 and is read as GB18030")
            return encoding
    raise DataError(f"{path} is neither UTF-8 nor GB18030 (GBK); save it as CSV UTF-8")


def _decodes(path: Path, encoding: str) -> bool:
    try:
        with path.open(encoding=encoding) as file:
            while file.read(_BLOCK):
                pass
    except UnicodeDecodeError:
        return False
    return True
