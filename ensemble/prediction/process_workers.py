"""Workers as processes of this machine: one per GPU, or several that share the cores."""

import os
import signal
import sys
import traceback
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import active_children, get_context
from typing import Any

from ensemble.prediction.worker import Answered, Job, Loaded, Worker
from ensemble.prediction.worker_pool import WorkerPool
from ensemble.prediction.workload import Chunk
from mire.cli import start_process
from mire.compat import usable_cores
from mire.errors import MireError, SettingsError
from mire.process_pool import end_with_parent

_DEVICES = "CUDA_VISIBLE_DEVICES"


def processes(job: Job, n_devices: int) -> WorkerPool:
    """``n_devices`` processes: each has a GPU of its own, or, where there is none, its share of the cores.

    Raises:
        SettingsError: there are fewer GPUs.
    """
    gpus = _gpus() or [""] * n_devices
    if n_devices > len(gpus):
        raise SettingsError(f"--devices {n_devices}, but this machine shows {len(gpus)} GPUs; {_DEVICES} hides some")
    threads = max(1, usable_cores() // n_devices)
    return WorkerPool(lambda index: ProcessWorker(job, DeviceShare(gpus[index], threads)), n_devices)


def _gpus() -> list[str]:
    """The names by which CUDA knows the GPUs that this process may use."""
    import torch

    shown = [name for name in os.environ.get(_DEVICES, "").split(",") if name]
    return (shown or [str(number) for number in range(torch.cuda.device_count())]) if torch.cuda.is_available() else []


@dataclass(frozen=True)
class DeviceShare:
    """A process's part of the machine: the name of its GPU (empty: none), and CPU threads."""

    gpu: str
    threads: int

    def take(self) -> None:
        """Tell the libraries, which read this when they are loaded; what the user has set stays."""
        if self.gpu:
            os.environ[_DEVICES] = self.gpu
        os.environ.setdefault("OMP_NUM_THREADS", str(self.threads))


class ProcessWorker:
    """A ``WorkerHandle`` of one process, which handles one call at a time and ends when this process does.

    A pool of its own for each worker, because a process that dies breaks its whole pool. The process is spawned: a
    forked one would inherit threads and a GPU that it cannot use.
    """

    def __init__(self, job: Job, share: DeviceShare) -> None:
        others = active_children()
        self._pool = ProcessPoolExecutor(1, get_context("spawn"), initializer=_start, initargs=(share,))
        self._job = job
        self._call: Future[Any] = self._pool.submit(_load, job)
        self._process = next((child for child in active_children() if child not in others), None)

    def load(self) -> "Future[Loaded]":
        return self._call

    def answer(self, chunk: Chunk) -> "Future[Answered]":
        self._call = self._pool.submit(_answer, self._job, chunk)
        return self._call

    def close(self) -> None:
        if self._process and not self._call.done():
            self._process.kill()  # what waits for a call ends by itself
            self._process.join()
        if sys.version_info < (3, 11, 5) and self._process and not self._process.is_alive():
            # A chunk may fill the dead process's pipe. Python then waits for ever for somebody to read it, since this
            # process holds its other end too. Newer ones close it themselves, and fail where it is closed already:
            # https://github.com/python/cpython/issues/94777.
            self._pool._call_queue._reader.close()  # type: ignore[attr-defined]
        self._pool.shutdown()

    def reason(self, error: BrokenExecutor) -> str:
        code = self._process.exitcode if self._process else None
        if code is None or not isinstance(error, BrokenProcessPool):
            return str(error)
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _start(share: DeviceShare) -> None:
    """What a worker process does first."""
    end_with_parent()
    share.take()
    start_process()


@lru_cache
def _worker(job: Job) -> Worker:
    """The worker of this process."""
    return job.worker()


def _load(job: Job) -> Loaded:
    with _faults_break_the_worker():
        return _worker(job).loaded


def _answer(job: Job, chunk: Chunk) -> Answered:
    with _faults_break_the_worker():
        return _worker(job).answer(chunk)


@contextmanager
def _faults_break_the_worker() -> Iterator[None]:
    """An error that nobody foresaw becomes a ``BrokenExecutor``: the worker is replaced."""
    try:
        yield
    except MireError:
        raise
    except Exception as error:
        traceback.print_exc()
        raise BrokenExecutor(f"{type(error).__name__}: {error}") from None
