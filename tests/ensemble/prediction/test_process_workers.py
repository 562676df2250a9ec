"""Each process's part of the machine."""

import os
import signal
import threading
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

from ensemble.prediction import process_workers
from ensemble.prediction.process_workers import DeviceShare, ProcessWorker
from ensemble.prediction.worker import Job
from ensemble.prediction.workload import Chunk


@pytest.mark.parametrize("gpu", ["", "3"])
def test_a_process_s_threads_are_bounded_with_and_without_a_gpu(monkeypatch: pytest.MonkeyPatch, gpu: str) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("OMP_NUM_THREADS", "")
    monkeypatch.delenv("OMP_NUM_THREADS")
    DeviceShare(gpu, 4).take()
    assert os.environ["OMP_NUM_THREADS"] == "4"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == gpu
    DeviceShare(gpu, 2).take()
    assert os.environ["OMP_NUM_THREADS"] == "4", "what the user has set stays"


def test_the_cores_that_a_container_allows_are_divided(monkeypatch: pytest.MonkeyPatch) -> None:
    shares: list[DeviceShare] = []
    monkeypatch.setattr(process_workers, "_gpus", lambda: ["0", "1", "2", "3"])
    monkeypatch.setattr(process_workers, "usable_cores", lambda: 16)
    monkeypatch.setattr(process_workers, "ProcessWorker", lambda job, share: shares.append(share))
    pool = process_workers.processes(None, 2)  # type: ignore[arg-type]
    for index in range(2):
        pool._start_worker(index)
    assert shares == [DeviceShare("0", 8), DeviceShare("1", 8)]


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="this system cannot stop a process for a while")
def test_a_process_that_dies_while_its_pipe_is_full_holds_nobody_up() -> None:
    """Python 3.11.2 waited for ever: https://github.com/python/cpython/issues/94777"""
    worker = ProcessWorker(Job(Path("no such panel"), ()), DeviceShare("", 1))
    assert worker._process is not None and worker._process.pid is not None
    os.kill(worker._process.pid, signal.SIGSTOP)
    answer = worker.answer(Chunk("image", (), {"large": "x" * 2**21}))
    worker._process.kill()
    with pytest.raises(BrokenProcessPool):
        answer.result(60)
    closing = threading.Thread(target=worker.close, daemon=True)
    closing.start()
    closing.join(60)
    assert not closing.is_alive()
