"""One process at a time."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mire.errors import PanelError


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Keep other processes out that ask for the same lock; the file, in a folder that is there, goes in the end.

    It is SQLite's own lock, which the operating system drops with the process: a kill leaves nothing to clean up.

    Raises:
        PanelError: another process has it, or the file cannot be written.
    """
    try:
        connection = sqlite3.connect(path, timeout=0, isolation_level=None)
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise PanelError(f"another training holds {path}; wait for it, or choose another --panel") from error
        raise PanelError(f"{path} cannot be written: {error}") from error
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        connection.close()
