"""Finished answers, kept in one SQLite file beside the output, for one process at a time.

SQLite's exclusive lock keeps a second process out. The operating system releases it when the process ends, so a
killed process leaves nothing to clean up. When ``add`` returns, its answers are on disk; before, none of them is.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mire.errors import JournalError

_COLUMNS = """(
    fingerprint TEXT NOT NULL, sample_id TEXT NOT NULL, answer TEXT NOT NULL,
    PRIMARY KEY (fingerprint, sample_id)
) WITHOUT ROWID"""
_SELECT = """
SELECT answer FROM answers WHERE fingerprint = ?1 AND sample_id = ?2
UNION ALL SELECT answer FROM passing WHERE fingerprint = ?1 AND sample_id = ?2
"""

_KEEP, _PASS = "INSERT INTO answers VALUES (?, ?, ?)", "INSERT INTO passing VALUES (?, ?, ?)"


class Journal:
    """Answers by sample id and a fingerprint of everything that decides them; only one process can open a journal.

    Answers of other fingerprints (another panel, other settings, a changed sample) may be in the same file;
    they are kept, but never returned. Answers that are not worth keeping lie in ``passing``, a temporary table.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    @contextmanager
    def opened(self) -> Iterator["Journal"]:
        """Lock the journal for this process; create the file if it is missing.

        Raises:
            JournalError: another process has it open, it cannot be written, or it is not a journal.
        """
        with self._explained():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(self._path, timeout=0)
        try:
            with self._explained(), self._connection:
                self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
                self._connection.execute("BEGIN EXCLUSIVE")
                self._connection.execute(f"CREATE TABLE IF NOT EXISTS answers {_COLUMNS}")
                self._connection.execute(f"CREATE TEMPORARY TABLE passing {_COLUMNS}")
            yield self
        finally:
            self._connection.close()

    def finished(self, fingerprints: Mapping[str, str]) -> dict[str, Any]:
        """The answers in the journal, by sample id, of the samples in ``fingerprints``.

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

    def add(self, answers: Mapping[str, Any], fingerprints: Mapping[str, str], *, kept: bool = True) -> None:
        """Store answers (JSON values) by sample id in one transaction; each may be stored only once.

        Those that are not ``kept`` are there until the journal is closed: the next run gives them again.

        Raises:
            JournalError: an answer is in the journal already, or the disk is full.
        """
        rows = [(fingerprints[key], key, json.dumps(answer, ensure_ascii=False)) for key, answer in answers.items()]
        with self._explained(), self._open() as connection:
            connection.executemany(_KEEP if kept else _PASS, rows)

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            raise ValueError("a journal is read and written inside 'with journal.opened()'")
        return self._connection

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn SQLite's errors into one line that says what to do."""
        try:
            yield
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise JournalError(
                    f"another run is writing {self._path}; wait for it, or choose another --out"
                ) from error
            raise JournalError(
                f"the journal {self._path} cannot be written: {error}; free some disk space, or choose a writable "
                "folder; finished answers are kept, and the same command resumes"
            ) from error
        except (sqlite3.DatabaseError, UnicodeEncodeError, json.JSONDecodeError) as error:
            raise JournalError(
                f"{self._path} is not a journal, or damaged: {error}; delete it to start again"
            ) from error
