"""The submission CSV: the test file's columns plus ``predict``, joined by id, in the input's order."""

import csv
import io
import json
import logging
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, Any, Literal

from mire.atomic_files import atomic_write
from mire.errors import DataError, quoted
from mire.plain_files import check_plain_file
from mire.samples import Sample

logger = logging.getLogger(__name__)

PREDICT = "predict"
STDOUT = Path("-")
"""Stands for standard output where a CSV is written."""
Columns = Literal["all", "id", "scores"]
"""The test file's columns before ``predict``, its ``id`` only, or all of them and the ``SCORES`` after ``predict``."""
SCORES = ("probability", "margin", "second", "decision", "review", "familiarity", "reasons")
"""The label's probability, how far it is ahead of the second label, that label, the label again if no person needs to
look (else empty), 1 if one does (else 0), the share of known samples that look no more known (empty: the panel cannot
tell), and why a person should look."""


@dataclass(frozen=True)
class SubmissionLine:
    """One line of the submission: the sample's id, its record as the test file holds it, the predicted label.

    ``scores`` holds the cells of ``SCORES``, if they are asked for.
    """

    id: str
    record: Mapping[str, Any]
    label: str
    scores: tuple[str | float, ...] = ()


def write_submission(
    path: Path,
    samples: Sequence[Sample],
    labels: Mapping[str, str],
    *,
    columns: Columns = "all",
    encoding: str = "utf-8-sig",
    for_excel: bool = False,
) -> None:
    """Write one line per sample; the file appears whole or not at all. ``for_excel`` as in ``write_lines``.

    Raises:
        DataError: the ids of samples and labels are not the same.
        OSError: the disk is full or the folder cannot be written; the old file, if there is one, stays.
    """
    odd = {sample.id for sample in samples} ^ labels.keys()
    if odd:
        raise DataError(f"every sample needs exactly one prediction; {len(odd)} ids differ (first: {sorted(odd)[0]!r})")
    names = dict.fromkeys(name for sample in samples for name in sample.row)
    lines = (SubmissionLine(sample.id, sample.row, labels[sample.id]) for sample in samples)
    write_lines(path, lines, names if columns == "all" else ["id"], encoding=encoding, for_excel=for_excel)


def write_lines(
    path: Path,
    lines: Iterable[SubmissionLine],
    columns: Iterable[str],
    *,
    encoding: str = "utf-8-sig",
    for_excel: bool = False,
    scores: bool = False,
) -> None:
    """Write the lines one by one, with these columns of their records and ``predict``; whole or not at all.

    ``scores``: the lines' scores follow, under ``SCORES``.

    ``path`` may be ``STDOUT``. ``for_excel`` guards what a spreadsheet would read as a number or a formula; without
    it, cells are written as they came, and rows that one would change or run are counted in a warning.

    Raises:
        OSError: as ``write_submission``.
    """
    ours = (PREDICT, *SCORES) if scores else (PREDICT,)
    with _to_stdout(encoding) if path == STDOUT else atomic_write(path, encoding=encoding) as file:
        names = [name for name in columns if name not in ours]
        first, n_changed = _write_rows(file, lines, names, ours, guard=for_excel)
    if n_changed:
        logger.warning(
            f"{n_changed} rows hold what a spreadsheet would change or run as a formula (first: {quoted(first)}): open "
            "the CSV there with --for-excel only, or import its columns as text"
        )


def _write_rows(
    file: IO[str], lines: Iterable[SubmissionLine], names: Sequence[str], ours: Sequence[str], *, guard: bool
) -> tuple[str, int]:
    """Write header and rows; the first row that a spreadsheet would change, in its id, or run; and the rows' number."""
    plain, all_quoted = (
        csv.writer(file, lineterminator="\n", quoting=way) for way in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL)
    )
    header: list[str | float] = [*names, *ours]
    rows = ((line.id, _cells(line, names, len(ours) - 1)) for line in lines)
    first, n_changed = "", 0
    for row, cells in chain([("the header", header)], rows):
        safe = [guarded(cell) if isinstance(cell, str) else cell for cell in cells]
        if guard:
            cells = safe
        elif guarded(row) != row or any(new == f"'{old}" for new, old in zip(safe, cells, strict=True)):
            first, n_changed = first or row, n_changed + 1
        # A bare carriage return ends a row for every reader, but the module quotes it only when told to.
        (all_quoted if any("\r" in str(cell) for cell in cells) else plain).writerow(cells)
    return first, n_changed


@contextmanager
def _to_stdout(encoding: str) -> Iterator[IO[str]]:
    """Standard output in this encoding, whatever the terminal's is."""
    sys.stdout.flush()
    # Not as a text file of its own, which would close the stream with it; what is written is encoded here.
    file = io.TextIOWrapper(sys.stdout.buffer, encoding, errors="backslashreplace", newline="", write_through=True)
    try:
        yield file
    finally:
        file.detach()


_NUMBER = re.compile(r"\s*[+-]?(\d++\.?\d*|\.\d+)(e[+-]?\d+)?\s*%?", re.IGNORECASE)
_PLAIN_NUMBER = re.compile(r"-?(0|[1-9]\d{0,14})")
"""What a spreadsheet shows as it stands: it keeps 15 digits, and no zeros in front."""
_DATE = re.compile(r"\d{1,4}[-/:]\d{1,2}([-/:]\d{1,4})?|\d{1,2}-?[a-z]{3}(-?\d{2,4})?", re.IGNORECASE)
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
"""The wide ones too: a Chinese or Japanese spreadsheet reads them alike."""


def guarded(cell: str) -> str:
    """The cell so that a spreadsheet shows it: ``="007"`` for what it would read as a number or a date.

    What it would run as a formula gets an apostrophe in front.
    """
    if _PLAIN_NUMBER.fullmatch(cell):
        return cell
    if _NUMBER.fullmatch(cell) or _DATE.fullmatch(cell):
        return f'="{cell}"'
    return f"'{cell}" if cell.startswith(("\t", "\r", "\n")) or cell.lstrip().startswith(_FORMULA) else cell


def read_submission(path: Path) -> dict[str, str]:
    """Predicted label by id, of a CSV with a column ``id`` and a column ``predict`` anywhere.

    Raises:
        DataError: a column is missing or stands twice, a row is too short or too long, an id is there twice; no CSV,
            not UTF-8, no plain file.
    """
    check_plain_file(path)
    csv.field_size_limit(2**31 - 1)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _answers(csv.reader(file), path)
    except UnicodeDecodeError as error:
        raise DataError(f"{path} must be UTF-8: {error.reason} at byte {error.start}") from error
    except csv.Error as error:
        raise DataError(f"{path} is no CSV: {error}") from error


def _answers(rows: Iterator[list[str]], path: Path) -> dict[str, str]:
    header = next(rows, [])
    if any(header.count(name) != 1 for name in ("id", PREDICT)):
        raise DataError(f"{path} must have the columns 'id' and {PREDICT!r}, got {quoted(header)}")
    id_place, label_place = header.index("id"), header.index(PREDICT)
    answers: dict[str, str] = {}
    for number, row in enumerate(rows, start=2):
        if not row:
            continue
        if len(row) != len(header):
            raise DataError(
                f"{path}, row {number}: every row must have {len(header)} cells, as the first, but {quoted(row)} has "
                f"{len(row)}"
            )
        if row[id_place] in answers:
            raise DataError(f"{path}, row {number}: ids must be unique, {quoted(row[id_place])} occurs twice")
        answers[row[id_place]] = row[label_place]
    return answers


def _cells(line: SubmissionLine, names: Sequence[str], n_scores: int) -> list[str | float]:
    return [*(_cell(line, name) for name in names), line.label, *line.scores[:n_scores]]


def _cell(line: SubmissionLine, name: str) -> str:
    value: Any = line.id if name == "id" else line.record.get(name, "")
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        # The official script writes lists as Python does.
        return str(value)
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
