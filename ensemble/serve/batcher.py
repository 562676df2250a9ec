"""Collects work that arrives at the same time into passes of one thread; clients and kinds of work take turns."""

import threading
import time
from bisect import insort
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Generic, TypeVar

from ensemble.serve.limits import FairShares

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")

GATHER_SECONDS = 0.005
"""How long a first item waits for others. While a pass runs the next one gathers anyway."""


class FullError(Exception):
    """So many items wait already that one more would only time out."""


@dataclass(frozen=True, order=True)
class _Waiting(Generic[Item, Outcome]):
    """An item that waits for its pass; items are taken in the order of ``finish``, then of arrival."""

    finish: float
    number: int
    item: Item = field(compare=False)
    client: str = field(compare=False)
    cost: float = field(compare=False)
    kind: str = field(compare=False)
    future: "Future[Outcome]" = field(compare=False, default_factory=Future)


class Batcher(Generic[Item, Outcome]):
    """One thread that makes every pass, so that what it runs need not be safe to share between threads.

    Weighted fair queueing: an item's place is the time at which it would be done if all clients were served at the
    same speed. So a client's one cheap item goes before other clients' expensive ones, and no item waits for ever.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Item]], Sequence[Outcome]],
        *,
        max_batch: int,
        max_waiting: int,
        max_cost: float = float("inf"),
        cost_per_second: float = 0.0,
    ) -> None:
        """A pass takes at most ``max_batch`` items of one kind, which cost ``max_cost``, or one item above it.

        ``max_waiting`` items may wait or be under way, beyond it a few of each client. Where a pass took longer than
        its items' costs say, at ``cost_per_second``, their clients are charged the rest.
        """
        self._run, self._max_batch, self._max_cost = run, max_batch, max_cost
        self._cost_per_second = cost_per_second
        self._shares, self._max_waiting = FairShares(max_waiting), max_waiting
        self._waiting: list[_Waiting[Item, Outcome]] = []
        self._numbers = count()
        self._clock = 0.0
        self._finish: dict[str, float] = {}
        self._kind = ""
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="mire-batcher", daemon=True)
        self._thread.start()

    @property
    def n_waiting(self) -> int:
        return len(self._waiting)

    def submit(self, item: Item, *, client: str = "", cost: float = 1.0, kind: str = "") -> "Future[Outcome]":
        """The outcome to come; cancelling it takes the item out of the queue.

        Raises:
            FullError: more than ``max_waiting`` items would wait, or the batcher is closed.
        """
        with self._changed:
            if self._closed or not self._shares.take(client, 1):
                raise FullError(f"{len(self._waiting)} samples wait already, at most {self._max_waiting} may")
            finish = max(self._clock, self._finish.get(client, 0.0)) + cost
            self._finish[client] = finish
            one: _Waiting[Item, Outcome] = _Waiting(finish, next(self._numbers), item, client, cost, kind)
            insort(self._waiting, one)
            self._changed.notify_all()
        one.future.add_done_callback(partial(self._done, one))
        return one.future

    def close(self) -> None:
        """Finish what waits, then stop."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _done(self, one: _Waiting[Item, Outcome], future: "Future[Outcome]") -> None:
        with self._changed:
            self._shares.give_back(one.client, 1)
            if future.cancelled() and one in self._waiting:
                self._waiting.remove(one)

    def _serve(self) -> None:
        while (batch := self._gather()) is not None:
            live = [one for one in batch if one.future.set_running_or_notify_cancel()]
            if live:
                started = time.monotonic()
                self._answer(live)
                self._charge(live, time.monotonic() - started)

    def _gather(self) -> list[_Waiting[Item, Outcome]] | None:
        """The items of the next pass; None when the batcher is closed and nothing waits."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if self._max_batch > 1:
                self._changed.wait_for(lambda: len(self._waiting) >= self._max_batch or self._closed, GATHER_SECONDS)
            if not self._waiting:
                return None if self._closed else []
            batch = self._first_of(self._next_kind())
            self._waiting = [one for one in self._waiting if one not in batch]
            self._advance(batch)
            return batch

    def _next_kind(self) -> str:
        """Another kind of work than the last pass's, if some waits."""
        self._kind = next((one.kind for one in self._waiting if one.kind != self._kind), self._kind)
        return self._kind

    def _first_of(self, kind: str) -> list[_Waiting[Item, Outcome]]:
        batch: list[_Waiting[Item, Outcome]] = []
        for one in self._waiting:
            if one.kind != kind:
                continue
            if batch and (len(batch) == self._max_batch or sum(o.cost for o in batch) + one.cost > self._max_cost):
                break
            batch.append(one)
        return batch

    def _advance(self, batch: Sequence[_Waiting[Item, Outcome]]) -> None:
        """Move the clock by each client's part of a pass; clients whose work is done start afresh."""
        clients = {one.client for one in (*self._waiting, *batch)}
        self._clock += sum(one.cost for one in batch) / len(clients)
        self._finish = {client: finish for client, finish in self._finish.items() if finish > self._clock}

    def _charge(self, batch: Sequence[_Waiting[Item, Outcome]], seconds: float) -> None:
        each = seconds * self._cost_per_second / len(batch)
        with self._changed:
            for one in batch:
                start = max(self._clock, self._finish.get(one.client, 0.0))
                self._finish[one.client] = start + max(each - one.cost, 0.0)

    def _answer(self, batch: Sequence[_Waiting[Item, Outcome]]) -> None:
        """Run one pass; if it fails, one per item, so that only the failing request gets the error."""
        try:
            outcomes = self._run([one.item for one in batch])
        except Exception as error:
            if len(batch) == 1:
                batch[0].future.set_exception(error)
                return
            for one in batch:
                self._answer([one])
            return
        for one, outcome in zip(batch, outcomes, strict=True):
            one.future.set_result(outcome)
