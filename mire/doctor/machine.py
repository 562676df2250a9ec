"""What this machine has: Python, cores, memory, devices, disk space for the cache, fonts."""

import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil

from mire import compat
from mire.budget import ParameterCount
from mire.cache import cache_root
from mire.doctor.check import Check
from mire.doctor.weights import GIB
from mire.model_sizes import base_config
from mire.settings import Settings

CGROUP_MEMORY = (
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file"),
)
"""Files of Linux' control groups, version 2 and 1: what is allowed, taken, counted; and a count's name."""

LOADERS_NEED = GIB
"""Bytes of shared memory below which a training starts no data loaders: they would end in a bus error."""


def machine() -> Iterator[Check]:
    """Check Python, cores, memory, devices, disk space for the cache, fonts."""
    old = sys.version_info < (3, 11)
    yield Check(
        f"python       {platform.python_version()} on {platform.system()} {platform.machine()}",
        "use Python 3.11 or newer" if old else "",
    )
    whole, free = main_memory()
    yield Check(f"cpu          {compat.usable_cores()} cores, {whole / GIB:.0f} GiB memory, {free / GIB:.0f} GiB free")
    yield from _devices()
    yield from _shared_memory()
    yield _cache()
    yield _fonts()


def _shared_memory() -> Iterator[Check]:
    """Containers often have 64 MiB of shared memory, through which a training's data loaders hand over pictures."""
    room = shared_memory()
    if room < LOADERS_NEED:
        yield Check(
            f"shared       {room / GIB:.2f} GiB: training decodes pictures in its own process, which is slower",
            "give the container 1 GiB or more (docker run --shm-size 1g)",
        )


def shared_memory() -> int:
    """Bytes that are free for memory that processes share; where the system has no such bound, ``LOADERS_NEED``."""
    # Nothing is written there.
    folder = Path("/dev/shm")  # noqa: S108
    return shutil.disk_usage(folder).free if folder.is_dir() else LOADERS_NEED


def _cache() -> Check:
    """Whether the cache can be written (a file is made in it, and removed) and has room."""
    kept = cache_root()
    try:
        kept.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=kept):
            room = shutil.disk_usage(kept).free
    except OSError as error:
        text = f"cache        {kept} cannot be written: {error.strerror}"
        return Check(text, "set MIRE_CACHE to a folder that can be written")
    text = f"cache        {kept}, {room / GIB:.0f} GiB free"
    return Check(text, "" if room > GIB else "free some disk, or set MIRE_CACHE to a folder on another one")


def _devices() -> Iterator[Check]:
    try:
        import torch
    except (ImportError, OSError) as error:
        yield Check(f"torch        cannot be imported: {error}", "pip install --force-reinstall torch torchvision")
        return
    if torch.backends.mps.is_available():
        yield Check("gpu          Apple's: qwen2vl computes there in bfloat16, attention by torch's own kernel")
    elif not torch.cuda.is_available():
        yield Check("gpu          none: the 7B configuration needs one, nano and cpu do not")
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        native = "bfloat16" if (properties.major, properties.minor) >= (8, 0) else "no bfloat16: set qwen2vl.dtype"
        yield Check(
            f"gpu {index}        {properties.name}, {properties.total_memory / GIB:.0f} GiB, {native}; "
            "attention by flash and memory-efficient kernels, not cuDNN's"
        )


def _fonts() -> Check:
    """Pages embed no font, so the browser needs an installed one for Chinese."""
    if shutil.which("fc-list") is None:
        return Check("fonts        not checked: pages use the browser's fonts")
    listed = subprocess.run(["fc-list", ":lang=zh", "family"], capture_output=True, text=True, check=False)
    n_families = len(set(listed.stdout.splitlines()))
    fix = "" if n_families else "to read pages on this machine: apt install fonts-noto-cjk, or any Chinese font"
    return Check(f"fonts        {n_families} Chinese families for the pages", fix)


def free_memory() -> int:
    """Bytes of memory that programs can still allocate."""
    return main_memory()[1]


def main_memory() -> tuple[int, int]:
    """Bytes of memory, and of them those that can still be allocated: the machine's, or less of them in a container."""
    machine = psutil.virtual_memory()
    for limit, used, counts, files in CGROUP_MEMORY:
        try:
            allowed, taken = (int((compat.CGROUP / name).read_text(encoding="ascii")) for name in (limit, used))
            lines = (compat.CGROUP / counts).read_text(encoding="ascii").splitlines()
            # What was read from files counts as taken until something else needs its room.
            given_back = int(dict(line.split() for line in lines)[files])
        except (OSError, ValueError, KeyError):  # another version, another system, or "max"
            continue
        return min(machine.total, allowed), max(0, min(machine.available, allowed - taken + given_back))
    return machine.total, machine.available


def memory(count: ParameterCount, settings: Settings) -> Check:
    """Whether the configuration's weights fit the first GPU, or main memory if there is none."""
    import torch

    from mire.doctor.training_cost import Shape
    from mire.doctor.weights import fit

    gpu, saved = torch.cuda.is_available(), 0
    if settings.qwen2vl.quantize != "none" and settings.qwen2vl.voter in settings.panel.names:
        saved = Shape.read(base_config(settings.qwen2vl.base)).saved(settings.qwen2vl.quantize, 2 if gpu else 4)
    if gpu:
        return fit(count, torch.cuda.mem_get_info(0)[0], "bfloat16", saved)
    return fit(count, free_memory(), "float32", saved)
