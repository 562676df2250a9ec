"""Distributions on disk: every label's probability for each sample, as ``predict --probabilities`` writes them.

A CSV in UTF-8 with one row per sample: ``COLUMNS``, then one column ``TASK/LABEL`` per label, empty for labels of the
other task. Of files that other programs write, ``id``, ``task`` and the labels are needed.
"""

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from mire.atomic_files import atomic_write
from mire.errors import DataError, quoted
from mire.labels import TASKS, Task
from mire.plain_files import check_plain_file

COLUMNS = ("id", "task", "predict", "degraded", "calls", "output_tokens", "parameters")
"""``degraded`` is 1 or 0; the last three are a ``Spent``, empty where it is unknown."""
TOLERANCE = 1e-3
"""By which the sum of rounded probabilities may differ from 1."""
_AGAIN = "write it with mire predict --probabilities"

Labels = Mapping[Task, tuple[str, ...]]
"""The labels of each task, in the order of their columns."""


class Spent(NamedTuple):
    """What an answer cost: model calls, output tokens, and the neural parameters of all that was loaded for it."""

    calls: int
    output_tokens: int
    parameters: int


@dataclass(frozen=True)
class Distribution:
    """One sample's probability of each label of its task; ``where`` is the file and the row that it was read from."""

    id: str
    task: Task
    probabilities: Mapping[str, float]
    degraded: bool
    spent: Spent | None
    where: str = ""

    @property
    def label(self) -> str:
        """The most probable label, of equal ones the first."""
        return max(self.probabilities, key=self.probabilities.__getitem__)


def write_distributions(path: Path, distributions: Iterable[Distribution], labels: Labels) -> None:
    """Write one row per sample; the file appears whole or not at all.

    Raises:
        OSError: the disk is full, or the folder cannot be written.
    """
    columns = [(task, label) for task in labels for label in labels[task]]
    with atomic_write(path) as file:
        # Rows end as the module's own do: with "\n" alone it would not quote a bare carriage return in an id.
        writer = csv.writer(file)
        writer.writerow([*COLUMNS, *(_column(task, label) for task, label in columns)])
        for each in distributions:
            shares = (each.probabilities[label] if task == each.task else "" for task, label in columns)
            spent = each.spent or [""] * len(Spent._fields)
            writer.writerow([each.id, each.task, each.label, int(each.degraded), *spent, *shares])


def read_distributions(path: Path, expected: Labels | None = None) -> tuple[Labels, dict[str, Distribution]]:
    """The file's labels, in the order of ``expected`` if that is given, and its distributions by id.

    Raises:
        DataError: no such CSV, an id twice, labels that are not the expected ones, or what is no distribution.
    """
    check_plain_file(path)
    found: dict[str, Distribution] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            labels = _labels(reader.fieldnames or (), path, expected or {})
            for number, row in enumerate(reader, start=2):
                each = _distribution(row, labels, f"{path}, row {number}")
                if found.setdefault(each.id, each) is not each:
                    raise DataError(f"{each.where}: ids must be unique, {quoted(each.id)} occurs twice; remove one row")
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is no CSV in UTF-8: {error}; {_AGAIN}") from error
    if not found:
        raise DataError(f"{path} holds no sample; {_AGAIN}")
    return labels, found


def _column(task: Task, label: str) -> str:
    return f"{task}/{label}"


def _labels(names: Sequence[str], path: Path, expected: Labels) -> Labels:
    """The labels that the header names, in the order of ``expected``."""
    own = {task: tuple(name[len(task) + 1 :] for name in names if name.startswith(f"{task}/")) for task in TASKS}
    labels = {task: found for task, found in own.items() if found}
    if not {"id", "task"} <= set(names) or not labels or len(set(names)) < len(names):
        raise DataError(
            f"{path}, row 1: there must be one column each for id, task and every label, as image/LABEL, got "
            f"{quoted(list(names))}; {_AGAIN}"
        )
    for task in labels.keys() & expected.keys():
        if odd := sorted(set(labels[task]) ^ set(expected[task])):
            raise DataError(
                f"{path}, row 1: all files must have the same {task} labels, but {quoted(odd[0])} is not in every one; "
                "blend panels that were trained for the same labels"
            )
    return {task: expected.get(task, found) for task, found in labels.items()}


def _distribution(row: Mapping[str | None, str | None], labels: Labels, where: str) -> Distribution:
    if None in row or None in row.values():
        raise DataError(f"{where}: every row must have as many cells as the first; {_AGAIN}")
    task = next((task for task in labels if task == row["task"]), None)
    if task is None:
        raise DataError(f"{where}: 'task' must be {' or '.join(labels)}, got {quoted(row['task'])}; {_AGAIN}")
    shares = {label: share(row, _column(task, label), where, _AGAIN) for label in labels[task]}
    if abs((total := sum(shares.values())) - 1) > TOLERANCE:
        raise DataError(f"{where}: the probabilities must sum to 1, got {total:.4g}; divide them by their sum")
    spent = [row.get(name) or "" for name in Spent._fields]
    told = all(re.fullmatch(r"\d{1,18}", each) for each in spent)
    return Distribution(
        id=str(row["id"]),
        task=task,
        probabilities=shares,
        degraded=row.get("degraded") == "1",
        spent=Spent(*map(int, spent)) if told else None,
        where=where,
    )


def share(row: Mapping[Any, str | None], name: str, where: str, next_step: str) -> float:
    """A row's number in the column ``name``, from 0 to 1.

    Raises:
        DataError: it is none; the message begins with ``where`` and ends with ``next_step``.
    """
    try:
        value = float(row[name] or "")
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise DataError(f"{where}: {quoted(name)} must be from 0 to 1, got {quoted(row[name])}; {next_step}")
    return value
