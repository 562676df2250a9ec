"""Collects samples that arrive at the same time into one pass of the panel."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Generic, TypeVar

from mire.samples import Sample

Outcome = TypeVar("Outcome")
Pass = Callable[[Sequence[Sample]], Sequence[Outcome]]

GATHER_SECONDS = 0.005
"""How long a first sample waits for others. While a pass runs the next one gathers anyway."""


class FullError(Exception):
    """So many samples wait already that one more would only time out."""


class Batcher(Generic[Outcome]):
    """One thread that makes every pass, so that a panel need not be safe to share between threads.

    Samples get ids of their own for the pass: two requests may use the same.
    """

    def __init__(
        self,
        run: Pass[Outcome],
        *,
        max_batch: int,
        max_waiting: int,
        weigh: Callable[[Sample], int] = lambda sample: 0,
        max_weight: int = 0,
    ) -> None:
        """``weigh`` gives a sample's weight, as pixels; a pass takes at most ``max_weight``, or one sample above it."""
        self._run, self._max_batch, self._max_waiting = run, max_batch, max_waiting
        self._weigh, self._max_weight = weigh, max_weight
        self._waiting: deque[tuple[Sample, int, Future[Outcome]]] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="mire-batcher", daemon=True)
        self._thread.start()

    @property
    def n_waiting(self) -> int:
        return len(self._waiting)

    def submit(self, samples: Sequence[Sample], *, patience_seconds: float = 0.0) -> list[Future[Outcome]]:
        """The outcomes to come, in order; all samples are taken or none, after ``patience_seconds`` without room.

        Raises:
            FullError: more than ``max_waiting`` samples would wait, or the batcher is closed.
        """
        weights = [self._weigh(sample) for sample in samples]
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._has_room(len(samples)), patience_seconds)
            if self._closed or not self._has_room(len(samples)):
                raise FullError(f"{len(self._waiting)} samples wait already, at most {self._max_waiting} may")
            futures: list[Future[Outcome]] = [Future() for _ in samples]
            self._waiting.extend(zip(samples, weights, futures, strict=True))
            self._changed.notify_all()
        return futures

    def _has_room(self, n_samples: int) -> bool:
        return len(self._waiting) + n_samples <= self._max_waiting

    def close(self) -> None:
        """Finish what waits, then stop."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _serve(self) -> None:
        while batch := self._gather():
            live = [(sample, future) for sample, future in batch if future.set_running_or_notify_cancel()]
            if live:
                self._answer(live)

    def _gather(self) -> list[tuple[Sample, "Future[Outcome]"]]:
        """The samples of the next pass; empty when the batcher is closed and nothing waits."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            self._changed.wait_for(lambda: len(self._waiting) >= self._max_batch or self._closed, GATHER_SECONDS)
            batch: list[tuple[Sample, Future[Outcome]]] = []
            weight = 0
            while self._waiting and len(batch) < self._max_batch:
                sample, more, future = self._waiting[0]
                if batch and weight + more > self._max_weight:
                    break
                self._waiting.popleft()
                batch.append((sample, future))
                weight += more
            self._changed.notify_all()
            return batch

    def _answer(self, batch: Sequence[tuple[Sample, "Future[Outcome]"]]) -> None:
        """Run one pass; if it fails, one a sample, so that only the guilty request learns of it."""
        named = [replace(sample, id=str(number)) for number, (sample, _) in enumerate(batch)]
        try:
            outcomes = self._run(named)
        except Exception as error:
            if len(batch) == 1:
                batch[0][1].set_exception(error)
                return
            for one in batch:
                self._answer([one])
            return
        for (_, future), outcome in zip(batch, outcomes, strict=True):
            future.set_result(outcome)
