"""Several workers, each of which gets its next chunk when it is idle; one that dies is replaced, its chunk repeated."""

import logging
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from types import TracebackType
from typing import Any, Protocol

from ensemble.prediction.worker import Answered, Loaded
from ensemble.prediction.workload import Chunk
from mire.errors import PanelError, WorkerError

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 60.0
"""After so long without any result a line says what is waited for."""
_AGAIN = "what is finished is kept, and the same command goes on with it"


class WorkerHandle(Protocol):
    """A worker in another process.

    Its futures raise ``MireError`` for what a person can mend, and ``BrokenExecutor`` where the worker died.
    """

    def load(self) -> "Future[Loaded]": ...

    def answer(self, chunk: Chunk) -> "Future[Answered]": ...

    def close(self) -> None:
        """End the worker, whatever it is doing."""

    def reason(self, error: BrokenExecutor) -> str:
        """Why a worker died, in a few words, once it is closed."""


class WorkerPool:
    """``size`` workers, started by index (0 to size - 1). A context manager, which starts and ends them."""

    def __init__(self, start_worker: Callable[[int], WorkerHandle], size: int) -> None:
        self._start_worker = start_worker
        self._handles: dict[int, WorkerHandle] = {}
        self._idle: list[int] = []
        self._running: dict[Future[Any], tuple[int, Chunk | None]] = {}
        self._again: deque[Chunk] = deque()
        self._lost: set[str] = set()
        self._died_loading: dict[int, int] = defaultdict(int)
        self._size = size
        self._loaded: Loaded | None = None

    def __enter__(self) -> "WorkerPool":
        """Start all workers, and wait until one has loaded its panel; the others may take longer.

        Raises:
            MireError: the panel cannot be loaded.
        """
        try:
            for index in range(self._size):
                self._begin(index)
            while self._loaded is None:
                for _ in self._finished():
                    pass
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    @property
    def loaded(self) -> Loaded:
        if self._loaded is None:
            raise ValueError("a worker pool works inside 'with'")
        return self._loaded

    def answers(self, chunks: Iterable[Chunk]) -> Iterator[tuple[Chunk, Answered]]:
        """Each chunk with its answers, in the order in which they are finished.

        No more chunks are read ahead than there are workers.

        Raises:
            WorkerError: two workers died on the same chunk, or one twice while it loaded.
        """
        queue = iter(chunks)
        while self._dispatch(queue) or self._again or any(chunk for _, chunk in self._running.values()):
            for chunk, answered in self._finished():
                self._dispatch(queue)  # before the journal is written: no worker waits for the disk
                yield chunk, answered

    def _dispatch(self, queue: Iterator[Chunk]) -> bool:
        """Give every idle worker a chunk; False where the queue is at its end."""
        while self._idle:
            chunk = self._again.popleft() if self._again else next(queue, None)
            if chunk is None:
                return False
            index = self._idle.pop()
            try:
                self._running[self._handles[index].answer(chunk)] = (index, chunk)
            except BrokenExecutor as error:  # it died while it was idle
                self._replace(index, chunk, error)
        return True

    def _finished(self) -> Iterator[tuple[Chunk, Answered]]:
        """Wait until a chunk or a load is finished or a worker has died; the finished chunks."""
        done, _ = wait(self._running, PATIENCE_SECONDS, FIRST_COMPLETED)
        if not done:
            n_loading = sum(chunk is None for _, chunk in self._running.values())
            logger.info(f"waiting for {len(self._running)} workers, {n_loading} of them still without a panel")
        for future in done:
            index, chunk = self._running.pop(future)
            try:
                result = future.result()
            except BrokenExecutor as error:
                self._replace(index, chunk, error)
                continue
            self._idle.append(index)
            if chunk is None:
                self._loaded = self._loaded or result
                if result.panel != self._loaded.panel:
                    raise PanelError("the panel was replaced while workers loaded it; run the same command again")
                self._died_loading.pop(index, None)
            else:
                yield chunk, result

    def _replace(self, index: int, chunk: Chunk | None, error: BrokenExecutor) -> None:
        handle = self._handles.pop(index)
        handle.close()
        reason = handle.reason(error)
        if chunk is None:
            self._died_loading[index] += 1
            if self._died_loading[index] > 1:
                raise WorkerError(f"a worker died twice while it loaded the panel: {reason}; {_AGAIN}")
            logger.info(f"a worker died while it loaded the panel ({reason}) and is replaced")
        else:
            self._requeue(chunk, reason)
        self._begin(index)

    def _requeue(self, chunk: Chunk, reason: str) -> None:
        first, last, n = chunk.samples[0].id, chunk.samples[-1].id, len(chunk.samples)
        if first in self._lost:
            raise WorkerError(
                f"two workers died on the same {n} samples, {first!r} to {last!r}: {reason}; {_AGAIN}, or take the "
                "sample out that they died on"
            )
        self._lost.add(first)
        self._again.append(chunk)
        logger.info(f"a worker died ({reason}) and is replaced; its {n} samples are done again")

    def _begin(self, index: int) -> None:
        self._handles[index] = self._start_worker(index)
        self._running[self._handles[index].load()] = (index, None)

    def _close(self) -> None:
        for handle in self._handles.values():
            handle.close()
