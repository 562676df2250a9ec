"""What the libraries need to work together and to share a machine; called before they are imported."""

import ctypes
import importlib.util
import math
import os
import sys
from pathlib import Path

_KEPT: list[object] = []
"""A torch Library removes its definitions when it is garbage-collected, so it is kept here."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""M_TRIM_THRESHOLD and M_MMAP_THRESHOLD in glibc's malloc.h."""


def patch_torchvision() -> None:
    """Let torchvision import next to a torch build that its compiled operators do not match.

    ``pip install torchvision`` beside a CPU-only torch leaves ``operator torchvision::nms does not exist``,
    and transformers and open_clip then refuse to import. Only torchvision's pure-Python transforms are
    used here, so declaring the two missing schemas is enough. Does nothing if the operators load.
    """
    specification = importlib.util.find_spec("torchvision")
    if _KEPT or "torchvision" in sys.modules or specification is None or specification.origin is None:
        return
    if operators_load(Path(specification.origin).parent):
        return
    import torch

    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _KEPT.append(library)


def operators_load(folder: Path) -> bool:
    """Whether the compiled operators in torchvision's package folder match the installed torch."""
    binaries = [*folder.glob("_C*.so"), *folder.glob("_C*.pyd"), *folder.glob("_C*.dll")]
    try:
        import torch

        for binary in binaries:
            torch.ops.load_library(str(binary))
    except (ImportError, OSError):
        return False
    return bool(binaries)


def wait_asleep() -> None:
    """Let threads that wait for others sleep: by default they spin, which on a busy machine takes cores from others.

    In a container with a CPU quota there are as many threads as the quota has cores. Variables that are set stay.
    """
    settings = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0", "KMP_BLOCKTIME": "0"}
    if usable_cores() < _visible_cores():
        settings["OMP_NUM_THREADS"] = str(usable_cores())
    for name, value in settings.items():
        os.environ.setdefault(name, value)


def keep_freed_memory() -> None:
    """Have glibc keep up to 128 MiB of freed memory for the next picture or tensor; mapping pages anew takes time.

    Blocks of over 32 MiB are given back to the system as before. Does nothing without glibc.
    """
    tune = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if tune is not None:
        tune(_MMAP_THRESHOLD, 32 << 20)
        tune(_TRIM_THRESHOLD, 128 << 20)


def usable_cores() -> int:
    """CPU cores that this process may use: those that it may run on, its container's quota, ``OMP_NUM_THREADS``."""
    told = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(_visible_cores(), _quota(), int(told) if told.isdigit() else sys.maxsize))


def _visible_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


CGROUP = Path("/sys/fs/cgroup")


def _quota() -> int:
    """Cores' worth of time that a Linux control group (version 2, or 1) allows, rounded up."""
    for files in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            allowed, period = " ".join((CGROUP / name).read_text(encoding="ascii") for name in files).split()
            return math.ceil(int(allowed) / int(period)) if int(allowed) > 0 else sys.maxsize
        except (OSError, ValueError):  # another version, another system, or "max"
            continue
    return sys.maxsize
