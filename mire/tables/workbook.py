"""Rows of the first sheet of an XLSX file of unknown origin: its XML is read piece by piece.

openpyxl, which knows what numbers and dates mean, keeps every element of a file as objects: a file of kilobytes can
have gigabytes of them.
"""

import datetime
import posixpath
import zipfile
from collections.abc import Iterator, Mapping, Set
from functools import lru_cache
from pathlib import Path
from typing import Any
from xml.parsers import expat

from mire.errors import DataError, one_line, quoted, shortened
from mire.plain_files import BoundedZip

MAX_BYTES = 256 * 2**20
"""That a workbook may unpack to; a sheet of 100,000 rows with short texts takes about 20 MiB."""
MAX_COLUMNS = 1000
_MAX_MEMBERS, _MAX_ROWS, _MAX_LINK_BYTES = 10_000, 2**20, 2**20
_MAX_FORMAT_CHARACTERS = 255
_MAX_DEPTH, _MAX_TAG_BYTES = 100, 2**20
"""Of XML: what a parser holds besides the text."""
_PIECE_BYTES = 2**16
_ZIP = b"PK\x03\x04"


def is_workbook(path: Path) -> bool:
    """Whether a file can be XLSX, which is a zip, by its first bytes."""
    with path.open("rb") as file:
        return file.read(len(_ZIP)) == _ZIP


def check_size(path: Path, max_bytes: int | None = None) -> None:
    """Refuse a workbook that would unpack to more than a table needs; zipfile stops at the sizes that it announces.

    Raises:
        DataError: it is too large, or no zip.
    """
    try:
        with BoundedZip(path) as file, zipfile.ZipFile(file) as opened:
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
    # Odd files raise anything: in zipfile, in expat, where numbers and dates are read.
    try:
        with zipfile.ZipFile(path) as book:
            yield from _rows(book)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    except Exception as error:
        raise DataError(f"{path} cannot be read as XLSX: {shortened(one_line(error))}") from error


def _rows(book: zipfile.ZipFile) -> Iterator[tuple[int, list[str]]]:
    workbook = next((part for kind, part in _links(book, "").values() if kind == "officeDocument"), "")
    links = _links(book, workbook)
    parts = dict(links.values())
    named = (links.get(told["id"], ("", "")) for told in _attributes(book, workbook, "sheet"))
    sheet = next((part for kind, part in named if kind == "worksheet"), None)
    if sheet is None:
        raise DataError("it has no sheet")
    texts = list(_texts(book, parts["sharedStrings"])) if "sharedStrings" in parts else []
    from_1904 = any(told.get("date1904") in ("1", "true") for told in _attributes(book, workbook, "workbookPr"))
    cells = _Cells(texts, _date_styles(book, parts["styles"]) if "styles" in parts else {}, from_1904)
    for event, name, told in _events(book, sheet, _Cells.wanted):
        if event == "start":
            cells.start(name, told)
            if cells.row > _MAX_ROWS:
                return
        else:
            cells.end(name, told)
            if name == "row":
                yield cells.row, [cells.found.get(column, "") for column in range(1, max(cells.found, default=0) + 1)]


class _Cells:
    """The cells of the row that is being read: ``found`` holds their texts by column, from 1."""

    wanted = frozenset(("row", "c", "v", "f", "t", "rPh"))

    def __init__(self, texts: list[str], dates: Mapping[int, bool], from_1904: bool) -> None:
        self.row, self.found = 0, dict[int, str]()
        self._texts, self._dates, self._from_1904 = texts, dates, from_1904
        self._column, self._cell = 0, dict[str, str]()
        self._value, self._pieces, self._spoken = "", list[str](), False
        self._formula: str | None = None

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "row":
            self.row, self.found, self._column = int(attributes.get("r", self.row + 1)), {}, 0
        elif name == "c":
            self._cell, self._column = attributes, _column(attributes["r"]) if "r" in attributes else self._column + 1
            self._value, self._formula, self._pieces = "", None, []
            if self._column > MAX_COLUMNS:
                raise DataError(f"row {self.row}: {self._column} columns, at most {MAX_COLUMNS} are read")
        elif name == "rPh":
            self._spoken = True

    def end(self, name: str, text: str) -> None:
        if name == "v":
            self._value = text
        elif name == "f":
            self._formula = text
        elif name == "t" and not self._spoken:
            self._pieces.append(text)
        elif name == "rPh":
            self._spoken = False
        elif name == "c":
            self.found[self._column] = self._text()

    def _text(self) -> str:
        kind = self._cell.get("t", "n")
        if kind == "inlineStr":
            return "".join(self._pieces)
        if not self._value:
            if self._formula is not None:
                raise DataError(
                    f"row {self.row}: the formula {quoted('=' + self._formula)} has no value; open the file in a "
                    "spreadsheet and save it, or paste the values"
                )
            return ""
        if kind == "s":
            return self._texts[int(self._value)]
        return _shown(self._meant(kind))

    def _meant(self, kind: str) -> Any:
        from openpyxl.utils.datetime import CALENDAR_MAC_1904, CALENDAR_WINDOWS_1900, from_excel, from_ISO8601

        if kind == "b":
            return bool(int(self._value))
        if kind == "d":
            return from_ISO8601(self._value)
        if kind != "n":
            return self._value
        number = float(self._value) if set(self._value) & set(".eE") else int(self._value)
        if (style := int(self._cell.get("s", 0))) not in self._dates:
            return number
        try:
            epoch = CALENDAR_MAC_1904 if self._from_1904 else CALENDAR_WINDOWS_1900
            return from_excel(number, epoch, timedelta=self._dates[style])
        except (OverflowError, ValueError):
            return "#VALUE!"


def _shown(value: Any) -> str:
    """A value as a person sees it: 12 and not 12.0, a date without a midnight."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return value.date().isoformat()
    return str(value)


def _column(cell: str) -> int:
    """The column of a cell by its name: 28 for ``AB7``."""
    from openpyxl.utils import coordinate_to_tuple

    return int(coordinate_to_tuple(cell)[1])


def _texts(book: zipfile.ZipFile, part: str) -> Iterator[str]:
    """The texts that cells share, without what tells how they are spoken."""
    pieces: list[str] = []
    spoken = False
    for event, name, told in _events(book, part, {"si", "t", "rPh"}):
        if name == "rPh":
            spoken = event == "start"
        elif event == "end" and name == "t" and not spoken:
            pieces.append(told)
        elif event == "end" and name == "si":
            yield "".join(pieces).replace("x005F_", "")  # an underscore that stands for itself
            pieces = []


def _date_styles(book: zipfile.ZipFile, part: str) -> dict[int, bool]:
    """Cells' styles that show a number as a date, and whether as a time span."""
    from openpyxl.styles.numbers import builtin_format_code

    own: dict[str, str] = {}
    dates: dict[int, bool] = {}
    inside, index = False, 0
    for event, name, told in _events(book, part, {"numFmt", "cellXfs", "xf"}):
        if name == "cellXfs":
            inside = event == "start"
        elif event == "start" and name == "numFmt":
            own[told["numFmtId"]] = told["formatCode"][:_MAX_FORMAT_CHARACTERS]
        elif event == "start" and name == "xf" and inside:
            number = told.get("numFmtId", "0")
            is_span = _is_span(own[number] if number in own else builtin_format_code(int(number)))
            if is_span is not None:
                dates[index] = is_span
            index += 1
    return dates


@lru_cache(maxsize=1024)
def _is_span(code: str | None) -> bool | None:
    """Whether a format shows a time span; None where it shows no time at all."""
    from openpyxl.styles.numbers import is_date_format, is_timedelta_format

    return is_timedelta_format(code) if is_date_format(code) or is_timedelta_format(code) else None


def _links(book: zipfile.ZipFile, part: str) -> dict[str, tuple[str, str]]:
    """The parts that a part names, the package itself where ``part`` is empty: kind and member, by their ids."""
    folder, name = posixpath.split(part)
    member = posixpath.join(folder, "_rels", f"{name}.rels")
    if book.getinfo(member).file_size > _MAX_LINK_BYTES:
        raise DataError(f"{member} takes more than {_MAX_LINK_BYTES} bytes")
    return {
        told["Id"]: (
            told["Type"].rpartition("/")[2],
            posixpath.normpath(posixpath.join("/", folder, told["Target"]))[1:],
        )
        for told in _attributes(book, member, "Relationship")
    }


def _attributes(book: zipfile.ZipFile, part: str, name: str) -> Iterator[dict[str, str]]:
    """The attributes of each element of a name."""
    for event, _, told in _events(book, part, {name}):
        if event == "start":
            yield {_bare(key): value for key, value in told.items()}


def _events(book: zipfile.ZipFile, part: str, wanted: Set[str]) -> Iterator[tuple[str, str, Any]]:
    """The start of each element of the names that are wanted, with its attributes, and its end, with its last text.

    Raises:
        DataError: it has a DOCTYPE, very deep elements or very long tags, as no spreadsheet's XML does.
    """
    found: list[tuple[str, str, Any]] = []
    text: list[str] = []
    depth = n_bytes = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        text.clear()
        if (bare := _bare(name)) in wanted:
            found.append(("start", bare, attributes))

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        if (bare := _bare(name)) in wanted:
            found.append(("end", bare, "".join(text)))
        text.clear()

    def refuse(*_: object) -> None:
        raise DataError(f"{part} has a DOCTYPE, which no spreadsheet writes")

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, text.append
    parser.StartDoctypeDeclHandler = refuse
    with book.open(part) as file:
        while piece := file.read(_PIECE_BYTES):
            parser.Parse(piece)
            n_bytes += len(piece)
            if depth > _MAX_DEPTH or n_bytes - parser.CurrentByteIndex > _MAX_TAG_BYTES:
                raise DataError(f"{part} has elements that are too deep or too long")
            yield from found
            found.clear()
    parser.Parse(b"", True)


@lru_cache(maxsize=1024)
def _bare(name: str) -> str:
    """The name without its namespace."""
    return name.rpartition(" ")[2]
