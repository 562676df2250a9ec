"""Workers as Ray actors, on this machine or on the nodes of a cluster.

Ray Data would decide by itself which samples share a batch, restart a dying actor without end and finish in an
order of its own. The engines' answers are to be the same bytes, a chunk is to be done again once, and what is
finished is to be on the disk at once: so the crew hands out the chunks, and Ray places, watches and ends the actors.
"""

import io
import logging
import os
import signal
import socket
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor, Future
from contextlib import contextmanager, redirect_stdout
from typing import Any

from ensemble.prediction.worker import Answered, Job, Loaded, Worker
from ensemble.prediction.worker_pool import WorkerPool
from mire.cli import start_process
from mire.errors import MireError, SettingsError
from mire.samples import Sample

_STORE_BYTES = 100 * 2**20
"""Shared memory of a cluster that is started here: a chunk takes a few hundred kilobytes."""

_PATIENCE_SECONDS = 10.0


@contextmanager
def cluster(job: Job, *, address: str | None, n_workers: int | None) -> Iterator[WorkerPool]:
    """``n_workers`` actors (default: one a GPU, or one a core) in the cluster at ``address``, or in one of our own.

    Raises:
        SettingsError: Ray is not installed, or no cluster answers at the address.
    """
    with _connected(address) as ray:
        gpus = int(ray.cluster_resources().get("GPU", 0))
        cores = max(int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"])
        n_cores = int(ray.cluster_resources()["CPU"])
        size = n_workers or gpus or n_cores
        share: dict[str, Any] = {"num_cpus": max(1, min(n_cores // size, cores)), "num_gpus": 1 if gpus else 0}
        with WorkerPool(lambda place: RayWorkerHandle(ray, job, share), size) as crew:
            yield crew


@contextmanager
def _connected(address: str | None) -> Iterator[Any]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    stopped = signal.getsignal(signal.SIGTERM)
    own: dict[str, Any] = {"include_dashboard": False, "object_store_memory": _STORE_BYTES} if address is None else {}
    # Ray tells of dead workers on stdout, which is for results; the crew says it in one line.
    with redirect_stdout(io.StringIO()):
        try:
            _check_reachable(address)
            ray.init(address=address or "local", log_to_driver=False, logging_level=logging.ERROR, **own)
        except (OSError, ValueError, RuntimeError) as error:
            where = f"no Ray cluster at --address {address}" if address else "Ray does not start"
            raise SettingsError(f"{where}: {_reason(error)}; a cluster is started with: ray start --head") from error
        signal.signal(signal.SIGTERM, stopped)  # Ray has put its own there
        try:
            yield ray
        finally:
            ray.shutdown()


def _check_reachable(address: str | None) -> None:
    """Ray itself tries for minutes where nobody listens.

    Raises:
        OSError: nobody does.
    """
    host, colon, port = (address or "").rpartition(":")
    if colon and port.isdigit() and "://" not in host:
        socket.create_connection((host, int(port)), timeout=_PATIENCE_SECONDS).close()


class RayWorker:
    """What runs in the actor."""

    def __init__(self) -> None:
        start_process()
        self._worker: Worker | None = None

    def load(self, job: Job) -> Loaded:
        self._worker = job.worker()
        return self._worker.loaded

    def answer(self, samples: Sequence[Sample]) -> Answered:
        if self._worker is None:
            raise ValueError("load comes first")
        return self._worker.answer(samples)


class RayWorkerHandle:
    """A ``WorkerHandle`` in an actor. Ray itself neither restarts it nor repeats its work: the crew does."""

    def __init__(self, ray: Any, job: Job, share: dict[str, Any]) -> None:
        self._ray, self._job = ray, job
        actor = ray.remote(RayWorker).options(max_restarts=0, max_task_retries=0, scheduling_strategy="SPREAD", **share)
        self._actor = actor.remote()

    def load(self) -> "Future[Loaded]":
        return _translate_errors(self._actor.load.remote(self._job))

    def answer(self, samples: Sequence[Sample]) -> "Future[Answered]":
        return _translate_errors(self._actor.answer.remote(samples))

    def close(self) -> None:
        self._ray.kill(self._actor)


def _translate_errors(reference: Any) -> "Future[Any]":
    """A future with the crew's errors in place of Ray's."""
    ours: Future[Any] = Future()

    def pass_on(theirs: "Future[Any]") -> None:
        error = theirs.exception()
        if error is None:
            ours.set_result(theirs.result())
            return
        cause = getattr(error, "cause", None)
        if isinstance(cause, MireError):
            ours.set_exception(cause)
        else:
            ours.set_exception(BrokenExecutor(_reason(cause or error)))

    reference.future().add_done_callback(pass_on)
    return ours


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {(str(error) or 'no reason given').strip().splitlines()[0]}"
