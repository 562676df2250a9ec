import threading
import time
from collections.abc import Sequence

import pytest

from ensemble.serve.batcher import Batcher, FullError


class Recorder:
    """Answers with the item; can be held, and fails for the item "bad"."""

    def __init__(self) -> None:
        self.passes: list[list[str]] = []
        self.free = threading.Event()
        self.free.set()
        self.started = threading.Event()

    def __call__(self, items: Sequence[str]) -> list[str]:
        self.started.set()
        assert self.free.wait(10)
        self.passes.append(list(items))
        if "bad" in items:
            raise ValueError("a bad sample")
        return list(items)


def held(
    max_batch: int = 4, max_waiting: int = 7, max_cost: float = float("inf")
) -> tuple[Recorder, "Batcher[str, str]"]:
    """A batcher whose first pass runs and waits."""
    run = Recorder()
    run.free.clear()
    batcher: Batcher[str, str] = Batcher(run, max_batch=max_batch, max_waiting=max_waiting, max_cost=max_cost)
    batcher.submit("first")
    assert run.started.wait(10)
    return run, batcher


def finish(run: Recorder, batcher: "Batcher[str, str]") -> list[list[str]]:
    """The passes after the first one."""
    run.free.set()
    batcher.close()
    return run.passes[1:]


def test_what_arrives_during_a_pass_shares_the_next_ones() -> None:
    run, batcher = held()
    futures = [batcher.submit(str(number)) for number in range(6)]
    assert finish(run, batcher) == [["0", "1", "2", "3"], ["4", "5"]]
    assert [future.result(10) for future in futures] == ["0", "1", "2", "3", "4", "5"]


def test_only_the_guilty_item_fails() -> None:
    run, batcher = held()
    good, bad, other = (batcher.submit(item) for item in ("good", "bad", "other"))
    run.free.set()
    assert (good.result(10), other.result(10)) == ("good", "other")
    with pytest.raises(ValueError, match="a bad sample"):
        bad.result(10)
    batcher.close()


def test_a_full_queue_takes_one_of_each_other_client_only() -> None:
    run, batcher = held()
    for _ in range(6):
        batcher.submit("a")
    for _ in range(2):
        with pytest.raises(FullError, match="6 samples wait already, at most 7 may"):
            batcher.submit("b")
    batcher.submit("c", client="another")
    with pytest.raises(FullError, match="7 samples wait already, at most 7 may"):
        batcher.submit("d", client="another")
    finish(run, batcher)


def test_a_cancelled_item_is_not_run_and_makes_room() -> None:
    run, batcher = held(max_waiting=2)
    batcher.submit("a").cancel()
    assert batcher.n_waiting == 0
    batcher.submit("b")
    assert finish(run, batcher) == [["b"]]


def test_closed_means_closed() -> None:
    batcher: Batcher[str, str] = Batcher(Recorder(), max_batch=1, max_waiting=1)
    batcher.close()
    with pytest.raises(FullError, match="0 samples wait already"):
        batcher.submit("late")


def test_a_pass_costs_no_more_than_it_may_and_holds_one_item_at_least() -> None:
    run, batcher = held(max_waiting=9, max_cost=10)
    for cost in (6, 4, 1, 99, 3, 3, 3, 1):
        batcher.submit(str(cost), cost=cost)
    assert finish(run, batcher) == [["6", "4"], ["1"], ["99"], ["3", "3", "3", "1"]]


def test_clients_take_turns() -> None:
    run, batcher = held(max_batch=1, max_waiting=99)
    for item in ("a1", "a2", "a3", "a4", "b1", "b2", "c1"):
        batcher.submit(item, client=item[0])
    assert finish(run, batcher) == [["a1"], ["b1"], ["c1"], ["a2"], ["b2"], ["a3"], ["a4"]]


def test_a_cheap_item_goes_before_the_expensive_ones_of_others() -> None:
    run, batcher = held(max_batch=1, max_waiting=99)
    for client in range(60):
        batcher.submit("bomb", client=str(client), cost=40)
    batcher.submit("cheap", client="honest", cost=1)
    assert finish(run, batcher)[0] == ["cheap"]


def test_an_expensive_item_does_not_wait_for_ever() -> None:
    """Cheap items of new clients come all the time. Each pass moves the clock by half a cheap item's cost."""
    passes: list[str] = []

    def run(items: Sequence[str]) -> Sequence[str]:
        passes.extend(items)
        if len(passes) < 99:
            batcher.submit("cheap", client=f"new {len(passes)}", cost=1)
        return items

    batcher: Batcher[str, str] = Batcher(run, max_batch=1, max_waiting=999)
    batcher.submit("first")
    assert batcher.submit("dear", client="a", cost=10).result(10) == "dear"
    batcher.close()
    assert passes.index("dear") < 30


def test_kinds_of_work_take_turns() -> None:
    run, batcher = held(max_batch=2)
    for item in ("x1", "x2", "x3", "x4", "y1"):
        batcher.submit(item, kind=item[0])
    assert finish(run, batcher) == [["x1", "x2"], ["y1"], ["x3", "x4"]]


def test_who_takes_longer_than_announced_pays_later() -> None:
    """The first pass takes some time, which costs its client far more than the others' items do."""
    run = Recorder()
    run.free.clear()
    batcher: Batcher[str, str] = Batcher(run, max_batch=1, max_waiting=9, cost_per_second=1e12)
    batcher.submit("slow", client="a")
    assert run.started.wait(10)
    run.free.set()
    deadline = time.monotonic() + 10
    while batcher._finish.get("a", 0) < 1000 and time.monotonic() < deadline:
        time.sleep(0.001)
    run.free.clear()
    run.started.clear()
    batcher.submit("hold", client="c")
    assert run.started.wait(10)
    batcher.submit("a2", client="a")
    batcher.submit("b", client="b", cost=5)
    assert finish(run, batcher)[1:] == [["b"], ["a2"]]
