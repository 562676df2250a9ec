"""A cache of what is computed per picture: a key-value file that is safe with crashes and several processes."""

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from mire.errors import JournalError


def cache_root() -> Path:
    """Folder of everything that can be rebuilt: ``MIRE_CACHE``, else ``mire`` in ``XDG_CACHE_HOME`` or ``~/.cache``."""
    if own := os.environ.get("MIRE_CACHE"):
        return Path(own)
    shared = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The convention's own rule: a relative path is none.
    return (shared if shared.is_absolute() else Path.home() / ".cache") / "mire"


@contextmanager
def empty_cache() -> Iterator[None]:
    """Make this process use an empty, temporary cache folder inside the ``with`` block."""
    before = os.environ.get("MIRE_CACHE")
    with tempfile.TemporaryDirectory(prefix="mire-cache-") as folder:
        os.environ["MIRE_CACHE"] = folder
        try:
            yield
        finally:
            if before is None:
                del os.environ["MIRE_CACHE"]
            else:
                os.environ["MIRE_CACHE"] = before


class BlobCache:
    """Bytes by key in one SQLite file; a write happens completely or not at all.

    ``name`` must identify everything that changes the values (model, settings); keys identify the inputs.
    Both methods raise JournalError if the file cannot be read or written.
    """

    def __init__(self, name: str) -> None:
        self._path = cache_root() / f"{name}.sqlite"

    def get_many(self, keys: list[str]) -> dict[str, bytes]:
        """The values of those keys that are in the cache."""
        if not self._path.is_file():
            return {}
        found: dict[str, bytes] = {}
        with self._explained(), closing(self._connect()) as connection:
            for key in set(keys):
                row = connection.execute("SELECT value FROM blobs WHERE key = ?", (key,)).fetchone()
                if row:
                    found[key] = row[0]
        return found

    def put_many(self, values: dict[str, bytes]) -> None:
        """Store values in one transaction; an existing key gets the new value."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # It holds the text of customers' pictures; what SQLite writes beside it gets the same mode.
        self._path.touch(mode=0o600)
        with self._explained(), closing(self._connect()) as connection, connection:
            connection.executemany("INSERT OR REPLACE INTO blobs VALUES (?, ?)", values.items())

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=60)
        connection.execute("CREATE TABLE IF NOT EXISTS blobs (key TEXT PRIMARY KEY, value BLOB NOT NULL)")
        return connection

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            way_out = "free some disk space, or set MIRE_CACHE to another folder"
            if not isinstance(error, sqlite3.OperationalError):
                way_out = "delete it: it is only a cache"
            raise JournalError(f"the cache {self._path} cannot be used: {error}; {way_out}") from error
