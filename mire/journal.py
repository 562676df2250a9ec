"""What is finished stays finished: one SQLite file beside the output, one process at a time.

SQLite's own exclusive lock keeps a second process out, and the operating system drops it with the process,
so a kill leaves nothing to clean up. A transaction is on the disk when ``add`` returns, or it never was.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mire.errors import JournalError

_TABLE = """
CREATE TABLE IF NOT EXISTS answers (
    fingerprint TEXT NOT NULL, sample_id TEXT NOT NULL, answer TEXT NOT NULL,
    PRIMARY KEY (fingerprint, sample_id)
) WITHOUT ROWID
"""
_SELECT = "SELECT answer FROM answers WHERE fingerprint = ? AND sample_id = ?"


class Journal:
    """Answers by sample id and a fingerprint of all that decides them; an open journal is this process's alone.

    Answers of other fingerprints (another panel, other settings, a changed sample) may lie in the same file;
    they are kept, and never given out.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    @contextmanager
    def opened(self) -> Iterator["Journal"]:
        """Lock the journal for this process, making the file where it is missing.

        Raises:
            JournalError: another process has it, it cannot be written, or it is no journal.
        """
        with self._explained():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(self._path, timeout=0)
        try:
            with self._explained(), self._connection:
                self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
                self._connection.execute("BEGIN EXCLUSIVE")
                self._connection.execute(_TABLE)
            yield self
        finally:
            self._connection.close()

    def finished(self, fingerprints: Mapping[str, str]) -> dict[str, Any]:
        """The answers that are there, by sample id, of samples given with their fingerprints.

        Raises:
            JournalError: the file is damaged.
        """
        found: dict[str, Any] = {}
        with self._explained():
            connection = self._open()
            for key, fingerprint in fingerprints.items():
                row = connection.execute(_SELECT, (fingerprint, key)).fetchone()
                if row:
                    found[key] = json.loads(row[0])
        return found

    def add(self, answers: Mapping[str, Any], fingerprints: Mapping[str, str]) -> None:
        """Keep answers (JSON values) by sample id, all of them or none; each only once.

        Raises:
            JournalError: an answer is there already, or the disk is full.
        """
        rows = [(fingerprints[key], key, json.dumps(answer, ensure_ascii=False)) for key, answer in answers.items()]
        with self._explained(), self._open() as connection:
            connection.executemany("INSERT INTO answers VALUES (?, ?, ?)", rows)

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            raise ValueError("a journal is read and written inside 'with journal.opened()'")
        return self._connection

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """SQLite's errors as one line that says what to do."""
        try:
            yield
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise JournalError(
                    f"another run is writing {self._path}; wait for it, or choose another --out"
                ) from error
            raise JournalError(
                f"the journal {self._path} cannot be written: {error}; make room, or choose a folder that can be "
                "written; what is finished is kept, and the same command goes on with it"
            ) from error
        except (sqlite3.DatabaseError, UnicodeEncodeError, json.JSONDecodeError) as error:
            raise JournalError(f"{self._path} is no journal, or damaged: {error}; delete it to start afresh") from error
