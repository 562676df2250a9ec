"""The submission CSV: the test file's columns plus ``predict``, joined by id, in the input's order."""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mire.atomic_files import atomic_write
from mire.errors import DataError
from mire.samples import Sample

PREDICT = "predict"
Columns = Literal["all", "id"]


@dataclass(frozen=True)
class SubmissionLine:
    """One line of the submission: the sample's id, its record as the test file holds it, and the predicted label."""

    id: str
    record: Mapping[str, Any]
    label: str


def write_submission(
    path: Path,
    samples: Sequence[Sample],
    labels: Mapping[str, str],
    *,
    columns: Columns = "all",
    encoding: str = "utf-8-sig",
) -> None:
    """Write one line per sample; the file appears whole or not at all.

    Raises:
        DataError: the ids of samples and labels are not the same.
        OSError: the disk is full or the folder cannot be written; the old file, if there is one, stays.
    """
    odd = {sample.id for sample in samples} ^ labels.keys()
    if odd:
        raise DataError(f"every sample needs exactly one prediction; {len(odd)} ids differ (first: {sorted(odd)[0]!r})")
    names = dict.fromkeys(name for sample in samples for name in sample.row)
    lines = (SubmissionLine(sample.id, sample.row, labels[sample.id]) for sample in samples)
    write_lines(path, lines, names if columns == "all" else ["id"], encoding=encoding)


def write_lines(
    path: Path, lines: Iterable[SubmissionLine], columns: Iterable[str], *, encoding: str = "utf-8-sig"
) -> None:
    """Write the lines one by one, with these columns of their records and ``predict``; whole or not at all.

    Raises:
        OSError: as ``write_submission``.
    """
    names = [name for name in columns if name != PREDICT]
    with atomic_write(path, encoding=encoding) as file:
        plain, quoted = (
            csv.writer(file, lineterminator="\n", quoting=way) for way in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL)
        )
        plain.writerow([*names, PREDICT])
        for line in lines:
            cells = [*(_cell(line, name) for name in names), line.label]
            # A bare carriage return ends a row for every reader, but the csv module quotes it only in this mode.
            (quoted if any("\r" in cell for cell in cells) else plain).writerow(cells)


def read_submission(path: Path) -> dict[str, str]:
    """Predicted label by id.

    Raises:
        DataError: no ``id`` or ``predict`` column, an id twice, or not UTF-8.
    """
    csv.field_size_limit(2**31 - 1)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in ("id", PREDICT) if name not in (reader.fieldnames or [])]
            if missing:
                raise DataError(f"{path} must have the columns 'id' and {PREDICT!r}, got {reader.fieldnames}")
            rows = [(row["id"], row[PREDICT]) for row in reader]
    except UnicodeDecodeError as error:
        raise DataError(f"{path} must be UTF-8: {error.reason} at byte {error.start}") from error
    answers = dict(rows)
    if len(answers) < len(rows):
        ids = [row_id for row_id, _ in rows]
        raise DataError(f"{path}: ids must be unique, {next(i for i in ids if ids.count(i) > 1)!r} occurs twice")
    return answers


def _cell(line: SubmissionLine, name: str) -> str:
    value: Any = line.id if name == "id" else line.record.get(name, "")
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        # The official script writes lists as Python does.
        return str(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
