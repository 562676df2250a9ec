"""A private folder for the files that requests leave, each of which is deleted within an hour."""

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

KEEP_SECONDS = 3600
"""After which uploads, results and other files of requests are deleted."""
_PREFIX = "mire-serve-"
_EVERY_SECONDS = 60
_LOCK = ".lock"


@contextmanager
def private_scratch() -> Iterator[Path]:
    """Inside, temporary files and uploads of this process go to a folder of mode 0700, files to mode 0600.

    Folders that killed servers have left are deleted at the start, this one's in the end.
    """
    _delete_abandoned(Path(tempfile.gettempdir()))
    before, mask = tempfile.tempdir, os.umask(0o077)
    uploads = os.environ.get("GRADIO_TEMP_DIR")
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    try:
        with FileLock(folder / _LOCK):
            tempfile.tempdir, os.environ["GRADIO_TEMP_DIR"] = str(folder), str(folder / "uploads")
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        tempfile.tempdir = before
        os.umask(mask)
        if uploads is None:
            del os.environ["GRADIO_TEMP_DIR"]
        else:
            os.environ["GRADIO_TEMP_DIR"] = uploads


@contextmanager
def swept(folder: Path) -> Iterator[None]:
    """Inside, files that come to the folder are deleted an hour later; what lies there already (examples) stays."""
    kept, stopped = frozenset(folder.rglob("*")), threading.Event()

    def work() -> None:
        while not stopped.wait(_EVERY_SECONDS):
            sweep(folder, kept, now=time.time())

    thread = threading.Thread(target=work, name="mire-sweeper", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def sweep(folder: Path, kept: frozenset[Path], *, now: float) -> None:
    """Delete files that are older than ``KEEP_SECONDS`` at ``now`` (seconds since the epoch), and empty old folders."""
    for parent, folders, files in os.walk(folder, topdown=False):  # which passes over what is deleted meanwhile
        for path in (Path(parent, name) for name in (*files, *folders)):
            try:
                if path in kept or now - path.lstat().st_mtime < KEEP_SECONDS:
                    continue
                path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
            except OSError:  # gone already, or a folder with newer files in it
                continue


def _delete_abandoned(parent: Path) -> None:
    """Delete the folders of servers that no longer run: their locks are free."""
    for folder in parent.glob(f"{_PREFIX}*"):
        if not _is_own(folder):
            continue
        try:
            with FileLock(folder / _LOCK, timeout=0):
                pass
        except (Timeout, OSError):
            continue
        shutil.rmtree(folder, ignore_errors=True)


def _is_own(folder: Path) -> bool:
    """Whether this user made it; Windows gives each user a temporary folder, so there everything in it is."""
    return not folder.is_symlink() and (not hasattr(os, "getuid") or folder.stat().st_uid == os.getuid())
