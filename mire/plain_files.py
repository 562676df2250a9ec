"""What lies at a path that a command was given: outputs must be plain files, inputs may come through a pipe."""

import io
import os
import shutil
import stat
import time
import zipfile
from pathlib import Path

from mire.errors import DataError

_PATIENCE_SECONDS = 5.0
MAX_LIST_BYTES = 12 * 2**20


def writable_file(path: Path) -> Path:
    """The path to write: where links lead, a plain file or nothing yet.

    Raises:
        DataError: it is a folder, a device, a pipe, or another name of a stream that is open already.
    """
    if _is_open_stream(path):
        raise DataError(f"{path} is an open stream, which cannot be replaced by a file; name a file to write")
    target = path.resolve() if path.is_symlink() else path
    if target.exists() and not target.is_file():
        raise DataError(f"{path} must be a file to write, but it is {_kind(target)}; name another")
    return target


def _is_open_stream(path: Path) -> bool:
    """Whether the name leads to a process's open files, which are in ``/proc`` on Linux, in ``/dev/fd`` elsewhere."""
    for _ in range(40):
        folder = path.parent.resolve()
        if folder.parts[1:2] == ("proc",) or folder.as_posix() == "/dev/fd":
            return True
        if not path.is_symlink():
            return False
        path = path.parent / path.readlink()
    raise DataError(f"{path} is a link to itself; name a file to write")


def _kind(path: Path) -> str:
    mode = path.stat().st_mode
    kinds = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"))
    return next((name for test, name in kinds if test(mode)), "a device")


def check_plain_file(path: Path) -> None:
    """Refuse an input that might never end, or could not be read twice; a missing one is left to who opens it.

    Raises:
        DataError: it is a device, a pipe or a socket.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise DataError(f"{path} must be a plain file, but it is {_kind(path)}; save it as a file first")


def is_pipe(name: str | Path | None) -> bool:
    """Whether the name is a pipe's, which gives its content once; on Windows no pipe is read as a file."""
    try:
        return name is not None and hasattr(os, "O_NONBLOCK") and stat.S_ISFIFO(Path(name).stat().st_mode)
    except (OSError, ValueError):
        return False


def keep_pipe(pipe: Path, path: Path) -> Path:
    """Copy what comes through a pipe to ``path``, which is given back.

    Raises:
        DataError: nothing was written within five seconds; a pipe may have a name and no writer.
        OSError: the temporary folder is full.
    """
    # A reader that does not wait: opening a named pipe would last until somebody writes to it.
    with os.fdopen(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0) as source, path.open("wb") as kept:
        given_up = time.monotonic() + _PATIENCE_SECONDS
        while (first := source.read(1)) == b"" and time.monotonic() < given_up:
            time.sleep(0.02)  # no writer yet
        if first == b"":
            raise DataError(
                f"nothing came through the pipe {pipe} within {_PATIENCE_SECONDS:.0f} seconds; start its writer first"
            )
        kept.write(first or b"")
        os.set_blocking(source.fileno(), True)
        shutil.copyfileobj(source, kept)
    return path


class BoundedZip(io.FileIO):
    """A zip's file; zipfile reads the whole list of members at once, however long that is."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > MAX_LIST_BYTES:
            raise zipfile.BadZipFile(f"its list of files takes {size} bytes, at most {MAX_LIST_BYTES} are read")
        return super().read(size) or b""
