import logging
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Future
from typing import Any

import pytest

from ensemble.prediction.worker import Answered, Loaded
from ensemble.prediction.worker_pool import WorkerPool
from ensemble.prediction.workload import Chunk
from mire.errors import PanelError, WorkerError
from mire.prompts import parse_prompt
from mire.samples import Sample

DEAD = BrokenExecutor("signal SIGKILL")


def chunk(name: str) -> Chunk:
    return Chunk("image", (Sample(id=name, prompt=parse_prompt("")),), {name: f"of {name}"})


class FakeHandle:
    """Dies on the chunks that ``deadly`` counts down, and while it loads as often as it says."""

    def __init__(self, deadly: dict[str, int], given: list[str], closed: list[str]) -> None:
        self._deadly, self._given, self._closed = deadly, given, closed

    def load(self) -> "Future[Loaded]":
        return self._end("load", Loaded({"base": 7}, "cpu", "p"))

    def answer(self, chunk: Chunk) -> "Future[Answered]":
        self._given.append(chunk.samples[0].id)
        return self._end(chunk.samples[0].id, Answered({}, {"voter": 1.0}))

    def close(self) -> None:
        self._closed.append("")

    def reason(self, error: BrokenExecutor) -> str:
        return str(error)

    def _end(self, name: str, result: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        if self._deadly.get(name, 0) > 0:
            self._deadly[name] -= 1
            future.set_exception(DEAD)
        else:
            future.set_result(result)
        return future


class Given:
    def __init__(self, **deadly: int) -> None:
        self.given: list[str] = []
        self.closed: list[str] = []
        self.start_worker: Callable[[int], FakeHandle] = lambda index: FakeHandle(deadly, self.given, self.closed)


def test_every_chunk_is_answered_and_everybody_is_ended() -> None:
    fakes = Given()
    with WorkerPool(fakes.start_worker, 2) as pool:
        assert pool.loaded == Loaded({"base": 7}, "cpu", "p")
        done = [one.samples[0].id for one, _ in pool.answers(map(chunk, "abcde"))]
    assert sorted(done) == list("abcde") == sorted(fakes.given)
    assert len(fakes.closed) == 2


def test_chunks_are_not_read_ahead_of_the_workers() -> None:
    read: list[str] = []

    def reading() -> Iterator[Chunk]:
        for name in "abcdefgh":
            read.append(name)
            yield chunk(name)

    with WorkerPool(Given().start_worker, 2) as pool:
        answers = pool.answers(reading())
        next(answers)
        assert len(read) <= 3


def test_a_lost_chunk_is_done_again_by_a_worker_in_its_place(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="ensemble.prediction.worker_pool")
    fakes = Given(b=1)
    with WorkerPool(fakes.start_worker, 1) as pool:
        done = [one.samples[0].id for one, _ in pool.answers(map(chunk, "abc"))]
    assert done == ["a", "b", "c"]
    assert fakes.given == ["a", "b", "b", "c"]
    assert len(fakes.closed) == 2
    assert caplog.messages == ["a worker died (signal SIGKILL) and is replaced; its 1 samples are done again"]


def test_each_chunk_may_be_lost_once() -> None:
    fakes = Given(a=1, b=1, c=1, d=1)
    with WorkerPool(fakes.start_worker, 2) as pool:
        assert sorted(one.samples[0].id for one, _ in pool.answers(map(chunk, "abcd"))) == list("abcd")


def test_a_chunk_that_is_lost_twice_ends_the_work_with_one_line() -> None:
    fakes = Given(b=2)
    with (
        pytest.raises(WorkerError, match="two workers died on the same 1 samples, 'b' to 'b': signal SIGKILL; what is"),
        WorkerPool(fakes.start_worker, 1) as pool,
    ):
        list(pool.answers(map(chunk, "abc")))
    assert fakes.given == ["a", "b", "b"]


def test_a_worker_may_die_once_while_it_loads() -> None:
    with WorkerPool(Given(load=1).start_worker, 1) as pool:
        assert pool.loaded.device == "cpu"
    twice = Given(load=2)
    with (
        pytest.raises(WorkerError, match="died twice while it loaded the panel: signal"),
        WorkerPool(twice.start_worker, 1),
    ):
        pass
    assert len(twice.closed) == 2


def test_what_a_person_can_mend_is_not_tried_again() -> None:
    class Refusing(FakeHandle):
        def load(self) -> "Future[Loaded]":
            future: Future[Loaded] = Future()
            future.set_exception(PanelError("no panel"))
            return future

    closed: list[str] = []
    with pytest.raises(PanelError, match="no panel"), WorkerPool(lambda index: Refusing({}, [], closed), 2):
        pass
    assert len(closed) == 2


def test_workers_that_loaded_different_panels_do_not_answer_together() -> None:
    loaded: list[str] = ["new", "old"]

    class Reloading(FakeHandle):
        def load(self) -> "Future[Loaded]":
            return self._end("load", Loaded({}, "cpu", loaded.pop()))

    with (
        pytest.raises(PanelError, match="the panel was replaced while workers loaded it; run the same command again"),
        WorkerPool(lambda index: Reloading({}, [], []), 2) as pool,
    ):
        list(pool.answers(map(chunk, "ab")))
