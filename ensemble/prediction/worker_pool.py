"""Several workers that take chunks by need; one that dies is replaced, and its chunk is done again, once."""

import logging
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from types import TracebackType
from typing import Any, Protocol

from ensemble.prediction.worker import Answered, Loaded
from ensemble.prediction.workload import Chunk
from mire.errors import WorkerError
from mire.samples import Sample

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 60.0
"""After so long without a sign of life a line says what is waited for."""
_AGAIN = "what is finished is kept, and the same command goes on with it"


class WorkerHandle(Protocol):
    """A worker somewhere else.

    Its futures raise ``MireError`` for what a person can mend, and ``BrokenExecutor`` where the worker died.
    """

    def load(self) -> "Future[Loaded]": ...

    def answer(self, samples: Sequence[Sample]) -> "Future[Answered]": ...

    def close(self) -> None:
        """End the worker, whatever it is doing."""


class WorkerPool:
    """``size`` workers, each hired by its place (0 to size - 1). Used as a context, which ends them."""

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
        """Hire everybody, and wait until the first one's panel is loaded; the others may come later.

        Raises:
            MireError: the panel cannot be loaded.
        """
        try:
            for place in range(self._size):
                self._begin(place)
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
            raise ValueError("a crew works inside 'with'")
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
                self._dispatch(queue)  # before the journal is written: nobody waits for the disk
                yield chunk, answered

    def _dispatch(self, queue: Iterator[Chunk]) -> bool:
        """A chunk to everybody who has none; False where the queue is at its end."""
        while self._idle:
            chunk = self._again.popleft() if self._again else next(queue, None)
            if chunk is None:
                return False
            place = self._idle.pop()
            self._running[self._handles[place].answer(chunk.samples)] = (place, chunk)
        return True

    def _finished(self) -> Iterator[tuple[Chunk, Answered]]:
        """Wait until something is finished or somebody dies."""
        done, _ = wait(self._running, PATIENCE_SECONDS, FIRST_COMPLETED)
        if not done:
            n_loading = sum(chunk is None for _, chunk in self._running.values())
            logger.info(f"waiting for {len(self._running)} workers, {n_loading} of them still without a panel")
        for future in done:
            place, chunk = self._running.pop(future)
            try:
                result = future.result()
            except BrokenExecutor as error:
                self._replace(place, chunk, str(error))
                continue
            self._idle.append(place)
            if chunk is None:
                self._loaded = self._loaded or result
                self._died_loading.pop(place, None)
            else:
                yield chunk, result

    def _replace(self, place: int, chunk: Chunk | None, reason: str) -> None:
        self._handles.pop(place).close()
        if chunk is None:
            self._died_loading[place] += 1
            if self._died_loading[place] > 1:
                raise WorkerError(f"a worker died twice while it loaded the panel: {reason}; {_AGAIN}")
            logger.info(f"a worker died while it loaded the panel ({reason}) and is replaced")
        else:
            self._requeue(chunk, reason)
        self._begin(place)

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

    def _begin(self, place: int) -> None:
        self._handles[place] = self._start_worker(place)
        self._running[self._handles[place].load()] = (place, None)

    def _close(self) -> None:
        for handle in self._handles.values():
            handle.close()
