"""Wait for processes to end, whether or not this process started them."""

import time
from collections.abc import Sequence

import psutil

PATIENCE_SECONDS = 60


def all_end(processes: Sequence[psutil.Process]) -> bool:
    """Whether all of them end within ``PATIENCE_SECONDS``; a zombie counts as ended."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while any(map(_runs, processes)):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
