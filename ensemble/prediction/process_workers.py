"""Workers as processes of this machine: one per GPU, or some that share the cores."""

import os
import signal
import traceback
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor, Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from ensemble.prediction.worker import Answered, Job, Loaded
from ensemble.prediction.worker_pool import WorkerPool
from mire.cli import start_process
from mire.errors import MireError, SettingsError
from mire.samples import Sample

_SPAWN = get_context("spawn")
"""A forked process would inherit threads and a GPU that it cannot use."""
_GRACE_SECONDS = 2.0
_DEVICES = "CUDA_VISIBLE_DEVICES"


def processes(job: Job, n_devices: int) -> WorkerPool:
    """``n_devices`` processes: each has a GPU of its own, or, where there is none, its share of the cores.

    Raises:
        SettingsError: there are fewer GPUs.
    """
    places = _gpus() or [""] * n_devices
    if n_devices > len(places):
        raise SettingsError(f"--devices {n_devices}, but this machine shows {len(places)} GPUs; {_DEVICES} hides some")
    threads = max(1, (os.cpu_count() or 1) // n_devices)
    return WorkerPool(lambda place: ProcessWorker(job, DeviceShare(places[place], threads)), n_devices)


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
        else:
            os.environ.setdefault("OMP_NUM_THREADS", str(self.threads))


class ProcessWorker:
    """A ``WorkerHandle`` in a process of its own, one call at a time; it ends with this process, however that ends."""

    def __init__(self, job: Job, share: DeviceShare) -> None:
        self._pipe, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=_serve, args=(theirs, job, share))
        self._process.start()
        theirs.close()
        self._caller = ThreadPoolExecutor(max_workers=1)
        self._call: Future[Any] = Future()

    def load(self) -> "Future[Loaded]":
        self._call = self._caller.submit(self._receive)
        return self._call

    def answer(self, samples: Sequence[Sample]) -> "Future[Answered]":
        self._call = self._caller.submit(self._ask, samples)
        return self._call

    def close(self) -> None:
        if self._call.done():  # it waits for work, and ends by itself when none can come any more
            self._pipe.close()
            self._process.join(_GRACE_SECONDS)
        self._process.kill()
        self._process.join()
        self._caller.shutdown()
        self._pipe.close()

    def _ask(self, samples: Sequence[Sample]) -> Any:
        with suppress(OSError):  # it is dead: reading says so, and why
            self._pipe.send(samples)
        return self._receive()

    def _receive(self) -> Any:
        try:
            result = self._pipe.recv()
        except (EOFError, OSError) as error:
            self._process.join(_GRACE_SECONDS)
            raise BrokenExecutor(_ending(self._process.exitcode)) from error
        if isinstance(result, Exception):
            raise result
        return result


def _ending(code: int | None) -> str:
    return f"signal {signal.Signals(-code).name}" if code is not None and code < 0 else f"exit code {code}"


def _serve(pipe: Connection, job: Job, share: DeviceShare) -> None:
    """What runs in the process: load, say so, answer, until the other end of the pipe is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    share.take()
    start_process()
    try:
        worker = job.worker()
        pipe.send(worker.loaded)
        while True:
            pipe.send(worker.answer(pipe.recv()))
    except MireError as error:
        pipe.send(error)
    except (EOFError, ConnectionError):  # the other end died, perhaps before it had read everything
        pass
    except Exception as error:
        traceback.print_exc()
        pipe.send(BrokenExecutor(f"{type(error).__name__}: {error}"))
