"""A second panel beside the one that is served: it answers a share of the samples too, for comparison."""

import logging
import os
import random
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from multiprocessing import get_context
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from mire.cache import empty_cache
from mire.cli import start_process
from mire.process_pool import end_with_parent
from mire.samples import Sample

if TYPE_CHECKING:
    from ensemble.panel import Panel

logger = logging.getLogger(__name__)

MOST_WAITING = 16
"""Samples that wait for the second panel; further ones are left out, and counted."""
_SECONDS_BETWEEN_STARTS = 60.0


@dataclass(frozen=True)
class Told:
    """A panel's answer: the panel's fingerprint, label and probability."""

    panel: str
    label: str
    probability: float

    def __str__(self) -> str:
        return f"{self.panel} {self.label} {self.probability:.4f}"


class Shadow:
    """The second panel, in a process of its own and of the lowest priority, so that no answer waits for it or fails.

    A process that has died is started anew, at most every minute; what is asked until then counts as failed.
    """

    def __init__(self, folder: Path, share: float) -> None:
        """Load the panel in ``folder``; ``share`` (0 to 1) of the samples are compared.

        Raises:
            MireError: as ``Panel.load``.
        """
        self._share, self._room = share, threading.Semaphore(MOST_WAITING)
        self._folder, self._answer = folder, partial(_answer, folder)
        self.fingerprint = self._load().result()

    def compare(
        self, sample: Sample, told: Told, request: str, count: Callable[[str], None]
    ) -> "Future[tuple[str, float]] | None":
        """Have the sample answered, log both answers under the request's id, and count the outcome, all later.

        ``count`` takes ``same``, ``different``, ``failed`` or ``dropped``. Gives None where nobody is asked; else the
        sample's pictures must stay until the future is done.
        """
        # A share of the traffic is drawn, no secret.
        if random.random() >= self._share:  # noqa: S311
            return None
        if not self._room.acquire(blocking=False):
            count("dropped")
            return None
        try:
            asked = self._pool.submit(self._answer, sample)
        except (RuntimeError, OSError) as error:  # the process has died or cannot be started, or the server ends
            self._room.release()
            count("failed")
            if isinstance(error, BrokenProcessPool) and monotonic() - self._started >= _SECONDS_BETWEEN_STARTS:
                self._start_anew()
            return None
        asked.add_done_callback(partial(self._compared, told, request, count))
        return asked

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _load(self) -> "Future[str]":
        """Start a process that loads the panel; its fingerprint to come, before any answer of it."""
        self._started = monotonic()
        self._pool = ProcessPoolExecutor(1, get_context("spawn"), initializer=_start, initargs=(tempfile.gettempdir(),))
        return self._pool.submit(_fingerprint, self._folder)

    def _start_anew(self) -> None:
        logger.warning(f"the process of the second panel, {self._folder}, has died, and is started anew")
        with suppress(OSError):  # of a machine without memory: the next minute tells
            self._load().add_done_callback(self._loaded)

    def _loaded(self, loading: "Future[str]") -> None:
        """Take up the name of the panel that lies in the folder now."""
        error = None if loading.cancelled() else loading.exception()
        if error:
            logger.warning(f"the second panel, {self._folder}, cannot be loaded: {error}")
        elif not loading.cancelled():
            self.fingerprint = loading.result()

    def _compared(
        self, told: Told, request: str, count: Callable[[str], None], asked: "Future[tuple[str, float]]"
    ) -> None:
        self._room.release()
        error = None if asked.cancelled() else asked.exception()
        if asked.cancelled() or error:
            logger.info(f"{request} panel {told}, shadow {self.fingerprint} failed: {type(error).__name__}")
            count("failed")
            return
        other = Told(self.fingerprint, *asked.result())
        logger.info(f"{request} panel {told}, shadow {other}")
        count("same" if other.label == told.label else "different")


def _start(scratch: str) -> None:
    """What the process does first; ``scratch`` is the server's folder for what requests leave."""
    tempfile.tempdir = scratch
    if hasattr(os, "nice"):  # Windows has none
        os.nice(19)
    os.environ["OMP_NUM_THREADS"] = "1"
    end_with_parent()
    start_process()


@lru_cache
def _panel(folder: Path) -> "Panel":
    """The panel of this process."""
    from ensemble.panel import Panel

    return Panel.load(folder)


def _fingerprint(folder: Path) -> str:
    return _panel(folder).fingerprint


def _answer(folder: Path, sample: Sample) -> tuple[str, float]:
    """Label and probability; what was computed from the sample's pictures is not kept."""
    with empty_cache():
        (found,) = _panel(folder).classify_many([sample])
    return found.label, found.probability
