"""Work in other processes: the same results in order, and nothing hangs when a process dies."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import psutil
import pytest
from processes import all_end

from mire.process_pool import MAX_DEATHS, MIN_ITEMS, InlineExecutor, ProcessPool, prefetch, workers

MANY = list(range(MIN_ITEMS * 3))


def square(number: int) -> int:
    return number * number


def square_unless_first(marked: tuple[int, str]) -> int:
    """Kills the worker that meets the number 40 first; whoever meets it next goes on."""
    number, mark = marked
    if number == 40 and not Path(mark).exists():
        Path(mark).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return square(number)


def square_but_not_in_a_worker(marked: tuple[int, int]) -> int:
    number, parent = marked
    if os.getpid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
    return square(number)


def refuse(number: int) -> int:
    if number == 40:
        raise ValueError("forty")
    return number


@pytest.mark.parametrize("n", [0, 1, 3])
def test_results_and_order_do_not_depend_on_the_number_of_workers(n: int) -> None:
    some = ProcessPool(n)
    assert list(some.map(square, MANY)) == list(map(square, MANY))
    assert len(some.pids()) == n


def test_few_items_start_no_process() -> None:
    some = ProcessPool(2)
    assert list(some.map(square, [1, 2, 3])) == [1, 4, 9]
    assert not some.pids()


def test_results_wait_in_bounded_number() -> None:
    taken: list[int] = []

    class Watched(list[int]):
        def __iter__(self):  # type: ignore[no-untyped-def]
            for item in super().__iter__():
                taken.append(item)
                yield item

    results = ProcessPool(2).map(square, Watched(MANY))
    assert next(results) == 0
    assert len(taken) == 4 * 2 + 1
    results.close()  # type: ignore[attr-defined]


def test_an_error_of_the_work_is_raised_at_its_place() -> None:
    results = ProcessPool(2).map(refuse, MANY)
    assert [next(results) for _ in range(40)] == MANY[:40]
    with pytest.raises(ValueError, match="forty"):
        next(results)


def test_a_killed_worker_costs_nothing_but_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    some = ProcessPool(2)
    items = [(number, str(tmp_path / "mark")) for number in MANY]
    assert list(some.map(square_unless_first, items)) == list(map(square, MANY))
    assert "a worker process died (killed, or out of memory); its work is done again, starting others" in (
        capsys.readouterr().err
    )
    assert list(some.map(square, MANY)) == list(map(square, MANY))
    assert len(some.pids()) == 2


def test_where_workers_keep_dying_the_work_is_done_here(capsys: pytest.CaptureFixture[str]) -> None:
    some = ProcessPool(2)
    items = [(number, os.getpid()) for number in MANY]
    assert list(some.map(square_but_not_in_a_worker, items)) == list(map(square, MANY))
    said = capsys.readouterr().err.splitlines()
    assert len(said) == MAX_DEATHS and said[-1].endswith("going on without workers")
    assert list(some.map(square, MANY)) == list(map(square, MANY))


def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    program = tmp_path / "parent.py"
    program.write_text(
        "import time\nfrom mire.process_pool import ProcessPool\n"
        "if __name__ == '__main__':\n"
        "    some = ProcessPool(2)\n    list(some.map(abs, list(range(99))))\n    print(*some.pids(), flush=True)\n"
        "    time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        started = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
        parent.kill()
    assert len(started) == 2
    assert all_end(started)


@pytest.mark.parametrize(
    ("n_cores", "threads", "n_workers"), [(1, "", 0), (4, "", 4), (64, "", 16), (8, "4", 4), (8, "1", 0)]
)
def test_the_number_of_workers_is_that_of_the_cores(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, n_cores: int, threads: str, n_workers: int
) -> None:
    monkeypatch.setattr("mire.compat.CGROUP", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(n_cores)))
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    assert workers()._n == n_workers
    assert workers(2) is workers(2)
    assert workers() is workers(None)


@pytest.mark.parametrize("pool", [InlineExecutor(), ThreadPoolExecutor(3)])
@pytest.mark.parametrize("n", [0, 1, 5, 1000])
def test_work_ahead_keeps_the_order_and_its_bounds(pool: Executor, n: int) -> None:
    taken: list[int] = []

    def watched() -> Iterator[int]:
        for item in MANY:
            taken.append(item)
            yield item

    results = prefetch(pool, square, watched(), n)
    assert next(results) == 0
    assert len(taken) == min(n + 1, len(MANY))
    assert [0, *results] == list(map(square, MANY))


@pytest.mark.parametrize("executor", [InlineExecutor, partial(ThreadPoolExecutor, 1)])
def test_an_error_ahead_is_raised_at_its_place_and_what_waits_is_not_begun(executor: Callable[[], Executor]) -> None:
    begun = []

    def work(number: int) -> int:
        begun.append(number)
        return refuse(number)

    with executor() as pool:
        results = prefetch(pool, work, MANY, 5)
        assert [next(results) for _ in range(40)] == MANY[:40]
        with pytest.raises(ValueError, match="forty"):
            next(results)
    assert len(begun) <= 46


@pytest.mark.slow
def test_a_pool_that_runs_takes_two_items_and_one_that_does_not_takes_many() -> None:
    pool = ProcessPool(2)
    assert set(pool.map(_pid, range(4))) == {os.getpid()}
    pool.start()
    assert os.getpid() not in set(pool.map(_pid, range(2)))
    assert list(pool.map(_pid, range(1))) == [os.getpid()]


def _pid(_: int) -> int:
    return os.getpid()
