"""The samples of a run on the disk: read once, answered in chunks, written in the file's order."""

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mire.errors import DataError, JournalError
from mire.folds import digest
from mire.labels import TASKS, Task, Taxonomy
from mire.samples import Sample, each_sample, fault_text, known_sample, twice
from router.route import BUILTIN, route

CHUNK = 128
"""Samples that are voted on together: bounds memory and what a kill can cost, and is the step of the progress."""
_CACHE_KIB = 16 * 1024
"""Memory that the file's pages may take; what does not fit lies in the temporary folder."""
_TABLE = """
CREATE TABLE samples (
    number INTEGER PRIMARY KEY, id TEXT UNIQUE, task TEXT, digest TEXT, problems TEXT, images TEXT, record BLOB
)
"""


@dataclass(frozen=True)
class Chunk:
    """Samples of one task that are voted on together, in the order of their ids, and their fingerprints by id."""

    task: Task
    samples: tuple[Sample, ...]
    fingerprints: Mapping[str, str]

    def without(self, ids: Mapping[str, Any]) -> "Chunk":
        return replace(self, samples=tuple(sample for sample in self.samples if sample.id not in ids))


@dataclass(frozen=True)
class SampleRow:
    """What the submission needs of a sample: its id and task, the record that the file holds, and its fingerprint."""

    id: str
    task: Task
    record: Mapping[str, Any]
    fingerprint: str


class Workload:
    """Every sample of a data file as a row of a temporary SQLite file, which is gone when the process ends.

    Memory does not grow with the number of samples; the disk takes about the input's size.
    ``columns`` are the records' keys in the order in which they first occur.
    """

    def __init__(self, connection: sqlite3.Connection, taxonomies: Mapping[Task, Taxonomy]) -> None:
        self._db, self._taxonomies = connection, taxonomies
        self.columns: dict[str, None] = {}

    @classmethod
    @contextmanager
    def read(
        cls, data: Path, images: Path, *, max_decoded_pixels: int, taxonomies: Mapping[Task, Taxonomy] = BUILTIN
    ) -> Iterator["Workload"]:
        """Read, route and digest every sample of ``data``; ``taxonomies`` as in ``route``.

        Raises:
            DataError: as ``mire.samples.read_samples``.
            JournalError: the temporary folder is full.
        """
        with _explained():
            work = cls(sqlite3.connect("", isolation_level=None), taxonomies)
        try:
            faults = work._fill(each_sample(data, images.absolute(), max_decoded_pixels=max_decoded_pixels))
            if faults:
                raise DataError(fault_text(data, faults))
            if not len(work):
                raise DataError(f"{data} holds no sample")
            yield work
        finally:
            work._db.close()

    def __len__(self) -> int:
        return int(self._db.execute("SELECT count(*) FROM samples").fetchone()[0])

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks that the samples belong to."""
        present = {task for (task,) in self._db.execute("SELECT DISTINCT task FROM samples")}
        return tuple(task for task in TASKS if task in present)

    def faults(self) -> list[str]:
        """One line per problem that was found while the samples were read."""
        rows = self._db.execute("SELECT number, id, problems FROM samples WHERE problems != '[]' ORDER BY number")
        return [f"record {number}, id {key!r}: {fault}" for number, key, text in rows for fault in json.loads(text)]

    def chunks(self, panel: str) -> Iterator[Chunk]:
        """Chunks of each task in the order of the ids; ``panel`` is the panel's digest.

        Neither the file's order nor an interruption changes which samples share a chunk.
        """
        query = "SELECT id, digest, problems, images, record FROM samples WHERE task = ? ORDER BY id"
        for task in self.tasks:
            cursor = self._db.execute(query, (task,))
            while rows := cursor.fetchmany(CHUNK):
                yield Chunk(
                    task=task,
                    samples=tuple(_sample(*row[2:]) for row in rows),
                    fingerprints={key: fingerprint(panel, seen, problems) for key, seen, problems, _, _ in rows},
                )

    def fingerprints(self, panel: str) -> Iterator[dict[str, str]]:
        """Fingerprints by id, in batches."""
        cursor = self._db.execute("SELECT id, digest, problems FROM samples")
        while rows := cursor.fetchmany(CHUNK):
            yield {key: fingerprint(panel, seen, problems) for key, seen, problems in rows}

    def rows(self, panel: str) -> Iterator[list[SampleRow]]:
        """Every sample in the file's order, in batches."""
        cursor = self._db.execute("SELECT id, task, record, digest, problems FROM samples ORDER BY number")
        while rows := cursor.fetchmany(CHUNK):
            yield [SampleRow(key, task, _record(blob), fingerprint(panel, *seen)) for key, task, blob, *seen in rows]

    def _fill(self, samples: Iterator[Sample | str]) -> list[str]:
        """Keep every sample; one line per sample that cannot be read, or whose id was there before."""
        faults: list[str] = []
        with _explained():
            for pragma in (f"cache_size = -{_CACHE_KIB}", "journal_mode = OFF", "synchronous = OFF"):
                self._db.execute(f"PRAGMA {pragma}")
            self._db.execute(_TABLE)
            self._db.execute("BEGIN")
            for sample in samples:
                faults += [sample] if isinstance(sample, str) else self._add(sample)
            self._db.execute("COMMIT")
        return faults

    def _add(self, sample: Sample) -> list[str]:
        self.columns.update(dict.fromkeys(sample.row))
        images, problems = [str(path) for path in sample.images], list(sample.problems)
        record = json.dumps(sample.row, ensure_ascii=False).encode("utf-8", "surrogatepass")
        values = (digest(sample), json.dumps(problems), json.dumps(images), record)
        row = (sample.number, sample.id, route(sample.prompt, self._taxonomies).task, *values)
        if self._db.execute("INSERT OR IGNORE INTO samples VALUES (?, ?, ?, ?, ?, ?, ?)", row).rowcount:
            return []
        (number,) = self._db.execute("SELECT number FROM samples WHERE id = ?", (sample.id,)).fetchone()
        return [twice(sample, number)]


def fingerprint(panel: str, seen: str, problems: str) -> str:
    """64 hex digits of the panel's digest, the sample's digest, and its problems as a JSON list."""
    return hashlib.sha256("\n".join((panel, seen, problems)).encode()).hexdigest()


def _sample(problems: str, images: str, record: bytes) -> Sample:
    return known_sample(
        _record(record), images=tuple(map(Path, json.loads(images))), problems=tuple(json.loads(problems))
    )


def _record(blob: bytes) -> dict[str, Any]:
    return dict(json.loads(blob.decode("utf-8", "surrogatepass")))


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise JournalError(
            f"the samples cannot be kept in the temporary folder: {error}; make room, or name another as TMPDIR"
        ) from error
