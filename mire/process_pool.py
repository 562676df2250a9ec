"""Map a function over inputs in worker processes: ordered results, bounded prefetch.

A worker that dies (killed, out of memory) breaks its pool. What was under way is then done in this process, and a new
pool is started; after ``MAX_DEATHS`` everything is done in this process. ``prefetch`` gives the same order and bounds
with any executor, for example of threads.
"""

import logging
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

from mire.compat import keep_freed_memory, usable_cores

logger = logging.getLogger(__name__)


MAX_WORKERS = 16
MAX_DEATHS = 3
MIN_ITEMS = 32
"""Fewer items than this are not worth starting a pool; one that runs takes two."""
AHEAD = 4
"""Results per worker that may wait to be taken."""

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class _Job(Generic[Item, Result]):
    function: Callable[[Item], Result]
    item: Item
    pool: ProcessPoolExecutor | None = None
    future: "Future[Result] | None" = None

    def cancel(self) -> None:
        if self.future is not None:
            self.future.cancel()


class ProcessPool:
    """``n`` worker processes, started when they are first needed; with 0 this process does all work."""

    def __init__(self, n: int) -> None:
        self._n = n
        self._pool: ProcessPoolExecutor | None = None
        self._n_deaths = 0

    def map(self, function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        """``function`` of every item, in order; both must pickle, and every process must give the same result.

        Raises:
            Exception: whatever ``function`` raises, at the position of its item.
        """
        if not self._n or len(items) < (2 if self._pool else MIN_ITEMS):
            yield from map(function, items)
            return
        waiting: deque[_Job[Item, Result]] = deque()
        try:
            for item in items:
                waiting.append(self._start(function, item))
                if len(waiting) > AHEAD * self._n:
                    yield self._finish(waiting.popleft())
            while waiting:
                yield self._finish(waiting.popleft())
        finally:
            for job in waiting:
                job.cancel()

    def start(self) -> None:
        """Start the workers now, for a process that will be given few items at a time."""
        if self._n:
            list(self.map(_started, range(MIN_ITEMS)))

    def pids(self) -> list[int]:
        """Process ids of the workers that run."""
        return list(getattr(self._pool, "_processes", None) or ())

    def _start(self, function: Callable[[Item], Result], item: Item) -> "_Job[Item, Result]":
        """The work on an item, under way; where no pool is left to take it, still to be done."""
        if self._n_deaths >= MAX_DEATHS:
            return _Job(function, item)
        self._pool = self._pool or _new_pool(self._n)
        try:
            return _Job(function, item, self._pool, self._pool.submit(function, item))
        except BrokenProcessPool:
            self._discard_pool()
            return _Job(function, item)

    def _finish(self, job: "_Job[Item, Result]") -> Result:
        if job.future is None:
            return job.function(job.item)
        try:
            return job.future.result()
        except BrokenProcessPool:
            if job.pool is self._pool:
                self._discard_pool()
            return job.function(job.item)

    def _discard_pool(self) -> None:
        """Drop a pool of which a worker died."""
        self._pool = None
        self._n_deaths += 1
        then = "starting others" if self._n_deaths < MAX_DEATHS else "going on without workers"
        logger.info(f"a worker process died (killed, or out of memory); its work is done again, {then}")


def _started(_: int) -> None:
    """What a worker does to be started."""


def workers(n: int | None = None) -> ProcessPool:
    """This process's shared pool: ``n`` workers, or one per core that it may use (``OMP_NUM_THREADS`` bounds it)."""
    share = min(usable_cores(), MAX_WORKERS)
    return _shared_pool((share if share > 1 else 0) if n is None else n)


_shared_pool = lru_cache(ProcessPool)
"""One pool per number of workers, however that was asked for."""


class InlineExecutor(Executor):
    """Runs every call in the calling thread, at once."""

    def submit(self, function: Callable[..., Result], /, *items: Any, **named: Any) -> "Future[Result]":
        done: Future[Result] = Future()
        try:
            done.set_result(function(*items, **named))
        except Exception as error:
            done.set_exception(error)
        return done


def prefetch(pool: Executor, function: Callable[[Item], Result], items: Iterable[Item], n: int) -> Iterator[Result]:
    """``function`` of every item, in order, ``n`` of them under way while a result is used.

    Raises:
        Exception: whatever ``function`` raises, at the position of its item.
    """
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > n:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def _new_pool(n: int) -> ProcessPoolExecutor:
    # Never a fork of this process: it has threads, and may hold a GPU.
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    return ProcessPoolExecutor(n, mp_context=multiprocessing.get_context(method), initializer=_enter)


def _enter() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"  # one process per core: no library that is loaded here needs more
    keep_freed_memory()
    end_with_parent()


def end_with_parent() -> None:
    """In a worker process: leave Ctrl-C to the parent process, and end when that ends, however it does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_exit_after, args=(multiprocessing.parent_process(),), daemon=True).start()


def _exit_after(parent: BaseProcess | None) -> None:
    if parent is not None:
        parent.join()
        os._exit(1)
