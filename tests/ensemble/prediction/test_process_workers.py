"""Each process's part of the machine."""

import os

import pytest

from ensemble.prediction import process_workers
from ensemble.prediction.process_workers import DeviceShare


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
