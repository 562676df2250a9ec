"""How many cores there are to use, and what the libraries are told of them."""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mire import compat


@pytest.mark.parametrize(
    ("files", "threads", "n"),
    [
        ({}, "", 8),
        ({"cpu.max": "max 100000\n"}, "", 8),
        ({"cpu.max": "150000 100000\n"}, "", 2),
        ({"cpu.max": "150000 100000\n"}, "1", 1),
        ({"cpu.max": "50000 100000\n"}, "", 1),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, "", 3),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, "", 8),
        ({}, "4", 4),
    ],
)
def test_usable_cores_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], threads: str, n: int
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(compat, "CGROUP", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    assert compat.usable_cores() == n


def test_threads_wait_asleep_and_keep_within_a_quota(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compat, "CGROUP", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(os, "environ", {"KMP_BLOCKTIME": "200"})
    compat.wait_asleep()
    assert os.environ == {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0", "KMP_BLOCKTIME": "200"}
    (tmp_path / "cpu.max").write_text("300000 100000")
    compat.wait_asleep()
    assert os.environ["OMP_NUM_THREADS"] == "3"


def test_a_system_without_control_groups_has_its_own_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(compat, "CGROUP", tmp_path / "none")
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert compat.usable_cores() == 6
    assert compat._quota() == sys.maxsize


@pytest.mark.skipif(sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallopt"), reason="glibc only")
def test_freed_memory_is_not_mapped_anew() -> None:
    """Three blocks of 20 MiB, freed together, are more than glibc keeps of its own: twice the largest block."""

    def page_faults(call: str) -> int:
        code = (
            "import resource\nimport numpy as np\nfrom mire.compat import keep_freed_memory\n"
            f"{call}\nbefore = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
            "for _ in range(20):\n    [np.ones(20 << 20, np.uint8) for _ in range(3)]\n"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
        return int(done.stdout)

    assert page_faults("keep_freed_memory()") * 4 < page_faults("")
