"""Workers as Ray actors, on this machine or on the nodes of a cluster.

Ray Data would decide by itself which samples share a batch, restart a dying actor without limit and finish in an
order of its own. All engines must give the same bytes, a lost chunk is done again once, and what is finished must be
on the disk at once: so ``WorkerPool`` assigns the chunks, and Ray places, watches and ends the actors.
"""

import io
import logging
import os
import secrets
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, Future
from contextlib import contextmanager, redirect_stdout
from typing import Any

from ensemble.prediction.worker import Answered, Job, Loaded, Worker
from ensemble.prediction.worker_pool import WorkerPool
from ensemble.prediction.workload import Chunk
from mire.cli import start_process
from mire.errors import MireError, SettingsError

_STORE_BYTES = 100 * 2**20
"""Shared memory of a cluster that is started here: a chunk takes a few hundred kilobytes."""

_PATIENCE_SECONDS = 10.0


@contextmanager
def cluster(job: Job, *, address: str | None, n_workers: int | None) -> Iterator[WorkerPool]:
    """``n_workers`` actors (default: one per GPU, or per core) in the cluster at ``address``, else in a new one.

    Raises:
        SettingsError: Ray is not installed, or no cluster answers at the address.
    """
    with _connected(address) as ray:
        gpus = int(ray.cluster_resources().get("GPU", 0))
        cores = max(int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"])
        n_cores = int(ray.cluster_resources()["CPU"])
        size = n_workers or gpus or n_cores
        share: dict[str, Any] = {"num_cpus": max(1, min(n_cores // size, cores)), "num_gpus": 1 if gpus else 0}
        with WorkerPool(lambda index: RayWorkerHandle(ray, job, share), size) as pool:
            yield pool


@contextmanager
def _connected(address: str | None) -> Iterator[Any]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if address is None:
        # Read when Ray is imported: without clusters its servers listen on this machine's own address only, where
        # other users may still reach them, but do not know the token.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        if os.environ.setdefault("RAY_AUTH_MODE", "token") == "token":
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex())
    import ray

    stopped = signal.getsignal(signal.SIGTERM)
    own: dict[str, Any] = {"include_dashboard": False, "object_store_memory": _STORE_BYTES} if address is None else {}
    # Ray reports dead workers on stdout, which is for results; WorkerPool logs one line.
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
    """Fail at once where nothing listens at the address: Ray itself would try for minutes.

    Raises:
        OSError: the connection is refused, or not answered in time.
    """
    host, colon, port = (address or "").rpartition(":")
    if colon and port.isdigit() and "://" not in host:
        socket.create_connection((host, int(port)), timeout=_PATIENCE_SECONDS).close()


class RayWorker:
    """The worker inside an actor."""

    def __init__(self) -> None:
        start_process()
        self._worker: Worker | None = None

    def load(self, job: Job) -> Loaded:
        self._worker = job.worker()
        return self._worker.loaded

    def answer(self, chunk: Chunk) -> Answered:
        if self._worker is None:
            raise ValueError("load comes first")
        return self._worker.answer(chunk)


class RayWorkerHandle:
    """A ``WorkerHandle`` of an actor. ``WorkerPool`` replaces it and repeats its work, Ray does neither."""

    def __init__(self, ray: Any, job: Job, share: dict[str, Any]) -> None:
        self._ray, self._job = ray, job
        actor = ray.remote(RayWorker).options(max_restarts=0, max_task_retries=0, scheduling_strategy="SPREAD", **share)
        self._actor = actor.remote()

    def load(self) -> "Future[Loaded]":
        return _translate_errors(self._actor.load.remote(self._job))

    def answer(self, chunk: Chunk) -> "Future[Answered]":
        return _translate_errors(self._actor.answer.remote(chunk))

    def close(self) -> None:
        self._ray.kill(self._actor)

    def reason(self, error: BrokenExecutor) -> str:
        return str(error)


def _translate_errors(reference: Any) -> "Future[Any]":
    """A future that raises ``MireError`` or ``BrokenExecutor`` in place of Ray's errors."""
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
