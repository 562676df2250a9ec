import threading
from collections.abc import Sequence

import pytest

from ensemble.serve.batcher import Batcher, FullError
from mire.prompts import parse_prompt
from mire.samples import Sample


def sample(text: str, name: str = "x") -> Sample:
    return Sample(id=name, prompt=parse_prompt(text))


class Recorder:
    """Answers with the prompt's text; can be held, and fails for the text "bad"."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.ids: list[list[str]] = []
        self.free = threading.Event()
        self.free.set()
        self.started = threading.Event()

    def __call__(self, samples: Sequence[Sample]) -> list[str]:
        self.started.set()
        assert self.free.wait(10)
        self.sizes.append(len(samples))
        self.ids.append([one.id for one in samples])
        if any(one.prompt.text == "bad" for one in samples):
            raise ValueError("a bad sample")
        return [one.prompt.text for one in samples]


def held() -> tuple[Recorder, "Batcher[str]"]:
    """A batcher whose first pass runs and waits."""
    run = Recorder()
    run.free.clear()
    batcher: Batcher[str] = Batcher(run, max_batch=4, max_waiting=6)
    batcher.submit([sample("first")])
    assert run.started.wait(10)
    return run, batcher


def test_what_arrives_during_a_pass_shares_the_next_ones() -> None:
    run, batcher = held()
    futures = [batcher.submit([sample(str(number))])[0] for number in range(6)]
    run.free.set()
    assert [future.result(10) for future in futures] == ["0", "1", "2", "3", "4", "5"]
    batcher.close()
    assert run.sizes == [1, 4, 2]


def test_the_same_id_twice_is_told_apart() -> None:
    run, batcher = held()
    futures = batcher.submit([sample("left", "same"), sample("right", "same")])
    run.free.set()
    assert [future.result(10) for future in futures] == ["left", "right"]
    batcher.close()
    assert run.ids[1] == ["0", "1"]


def test_only_the_guilty_sample_fails() -> None:
    run, batcher = held()
    good, bad, other = batcher.submit([sample("good"), sample("bad"), sample("other")])
    run.free.set()
    assert (good.result(10), other.result(10)) == ("good", "other")
    with pytest.raises(ValueError, match="a bad sample"):
        bad.result(10)
    batcher.close()


def test_a_full_queue_takes_all_or_nothing() -> None:
    run, batcher = held()
    batcher.submit([sample("a")] * 5)
    with pytest.raises(FullError, match="5 samples wait already, at most 6 may"):
        batcher.submit([sample("b")] * 2)
    assert batcher.n_waiting == 5
    run.free.set()
    batcher.close()


def test_cancelled_samples_are_not_run() -> None:
    run, batcher = held()
    batcher.submit([sample("a")])[0].cancel()
    run.free.set()
    batcher.close()
    assert run.sizes == [1]


def test_closed_means_closed() -> None:
    batcher: Batcher[str] = Batcher(Recorder(), max_batch=1, max_waiting=1)
    batcher.close()
    with pytest.raises(FullError, match="0 samples wait already"):
        batcher.submit([sample("late")])


def test_who_has_patience_waits_for_room() -> None:
    run, batcher = held()
    batcher.submit([sample("a")] * 6)
    found: list[str] = []

    def wait() -> None:
        found.extend(future.result(10) for future in batcher.submit([sample("b")] * 4, patience_seconds=30))

    waiting = threading.Thread(target=wait)
    waiting.start()
    run.free.set()
    waiting.join(30)
    batcher.close()
    assert found == ["b"] * 4


def test_patience_ends() -> None:
    run, batcher = held()
    batcher.submit([sample("a")] * 6)
    with pytest.raises(FullError, match="6 samples wait already"):
        batcher.submit([sample("b")], patience_seconds=0.01)
    run.free.set()
    batcher.close()


def test_a_pass_takes_no_more_pixels_than_it_may_and_one_sample_at_least() -> None:
    run = Recorder()
    run.free.clear()
    batcher: Batcher[str] = Batcher(
        run, max_batch=4, max_waiting=9, weigh=lambda one: int(one.prompt.text), max_weight=10
    )
    batcher.submit([sample("0")])
    assert run.started.wait(10)
    futures = batcher.submit([sample(text) for text in ("6", "4", "1", "99", "3", "3", "3", "1")])
    run.free.set()
    assert [future.result(10) for future in futures] == ["6", "4", "1", "99", "3", "3", "3", "1"]
    batcher.close()
    assert run.sizes == [1, 2, 1, 1, 4]
