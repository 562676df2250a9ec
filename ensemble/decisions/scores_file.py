"""What ``predict --columns scores`` has written, read back for each task."""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ensemble.decisions.threshold_file import is_unlike
from ensemble.voting.distributions import share
from mire.errors import DataError, quoted
from mire.labels import Task, Taxonomy
from mire.plain_files import check_plain_file
from router.route import route_text

_NEEDED = ("id", "predict", "probability", "review")
_AGAIN = "write it with mire predict --columns scores"


@dataclass(frozen=True)
class Scored:
    """One answer.

    ``unlike`` (anything seen), ``fallback`` and ``degraded`` are None where the familiarity, the instruction or the
    run's report is not there.
    """

    id: str
    task: Task
    label: str
    probability: float
    review: bool
    unlike: bool | None
    fallback: bool | None
    degraded: bool | None


def read_scores(path: Path, taxonomies: Mapping[Task, Taxonomy]) -> list[Scored]:
    """The file's answers, in order; a label's task is the first one that has it.

    Raises:
        DataError: no such CSV, no answers, a label of no task, or a probability that is none.
    """
    check_plain_file(path)
    degraded = _degraded(path.with_suffix(".report.json"))
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if missing := [name for name in _NEEDED if name not in (reader.fieldnames or ())]:
                raise DataError(f"{path} has no column {missing[0]!r}; {_AGAIN}")
            rows = enumerate(reader, start=2)
            answers = [_scored(row, f"{path}, row {number}", taxonomies, degraded) for number, row in rows]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is no CSV in UTF-8: {error}; {_AGAIN}") from error
    if not answers:
        raise DataError(f"{path} holds no answers; predict a file that holds samples")
    return answers


def _scored(
    row: Mapping[str, str], where: str, taxonomies: Mapping[Task, Taxonomy], degraded: set[str] | None
) -> Scored:
    label = row["predict"]
    task = next((task for task, taxonomy in taxonomies.items() if label in taxonomy), None)
    if task is None:
        raise DataError(f"{where}: {quoted(label)} is no label of this panel; name the panel that wrote the file")
    return Scored(
        id=row["id"],
        task=task,
        label=label,
        probability=share(row, "probability", where, _AGAIN),
        review=row["review"] != "0",
        unlike=is_unlike(share(row, "familiarity", where, _AGAIN)) if row.get("familiarity") else None,
        fallback=route_text(row["instruction"], taxonomies).is_fallback if row.get("instruction") else None,
        degraded=None if degraded is None else row["id"] in degraded,
    )


def _degraded(report: Path) -> set[str] | None:
    """Ids of degraded answers, by the report that ``predict`` writes beside its CSV."""
    if not report.is_file():
        return None
    try:
        return set(json.loads(report.read_text(encoding="utf-8"))["degraded"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(f"{report} is no report of mire predict; delete it, or predict again") from error
