"""Whether processes have ended that this one need not have started, for tests."""

import time
from collections.abc import Sequence

import psutil

PATIENCE_SECONDS = 60


def all_end(processes: Sequence[psutil.Process]) -> bool:
    """Whether they do, given time; one that ended and that nobody has collected yet has ended."""
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
