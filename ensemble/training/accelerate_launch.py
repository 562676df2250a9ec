"""Starts the trainings of Qwen2-VL adapters, with accelerate if on several devices, and divides devices among them."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import resources
from importlib.util import find_spec

import psutil

from mire.compat import usable_cores
from mire.errors import SettingsError, missing_package
from mire.launch_options import Kind
from mire.settings import Training

_VISIBLE = "CUDA_VISIBLE_DEVICES"
_OWN_INTERFACE = {"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo"}


@dataclass(frozen=True)
class Launch:
    """Devices for one training, one process per device: ``gpus`` by number or UUID, or ``n_processes`` on the CPU.

    ``n_cores``: so many trainings of one process may run on the CPU at the same time.
    """

    kind: Kind
    gpus: tuple[str, ...]
    n_processes: int
    n_cores: int = 1

    @classmethod
    def choose(cls, kind: Kind, n_devices: int | None) -> "Launch":
        """The first ``n_devices`` GPUs that this process may use (None: all); without GPUs, CPU processes.

        Without GPUs and ``n_devices``, each training is one process, and as many run at a time as there are cores.

        Raises:
            SettingsError: there are GPUs, but fewer than ``n_devices``.
        """
        gpus = _gpus()
        n_processes = n_devices or len(gpus) or 1
        if gpus and n_processes > len(gpus):
            raise SettingsError(f"--devices {n_processes}: this machine has {len(gpus)} GPUs; ask for fewer")
        return cls(kind, gpus[:n_processes], n_processes, 1 if gpus or n_devices else usable_cores())

    def groups(self, n_jobs: int, training: Training) -> Iterator["Launch"]:
        """Divide the devices among at most ``n_jobs`` trainings that run at the same time, one group per training.

        A group has as many devices as the batch can be divided among. With fsdp all devices form one group, since the
        base may not fit on fewer.
        """
        n_groups = 1 if self.kind == "fsdp" else min(n_jobs, max(self.n_processes, self.n_cores))
        size = max(1, self.n_processes // n_groups)
        if n_groups > 1:
            size = max(n for n in range(1, size + 1) if training.batch_size % n == 0)
        for start in range(0, n_groups * size, size):
            yield Launch(self.kind, self.gpus[start : start + size], size)

    def command(self, arguments: Sequence[str]) -> list[str]:
        """The command line for one adapter's training on these devices; accelerate starts several processes."""
        command = ["-m", "experts.qwen2vl.train", *arguments, *(["--sharded"] if self.kind == "fsdp" else [])]
        if self.n_processes == 1:
            return [sys.executable, *command]
        settings = str(resources.files("experts.qwen2vl.training").joinpath("accelerate", "ddp.yaml"))
        launcher = [sys.executable, "-m", "accelerate.commands.launch", "--quiet", "--config_file", settings]
        # Port 0 is any free one: other trainings may run on this machine.
        return [*launcher, "--num_processes", str(self.n_processes), "--main_process_port", "0", *command]

    def environment(self, n_side_by_side: int = 1) -> Mapping[str, str]:
        """This process's environment with only these GPUs visible: the trainer takes every GPU that it sees.

        ``n_side_by_side`` such trainings share the CPU's cores. The processes of one talk to each other on this
        machine's own address, unless the variables name another interface.
        """
        own = _OWN_INTERFACE if sys.platform == "linux" else {}
        n_threads = max(1, usable_cores() // (self.n_processes * n_side_by_side))
        visible = {_VISIBLE: ",".join(self.gpus)} if self.gpus else {}
        return {**own, **os.environ, **visible, "OMP_NUM_THREADS": str(n_threads)}


def run_side_by_side(launches: Sequence[Launch], arguments: Sequence[Sequence[str]]) -> list[int]:
    """Train one adapter per launch, with these arguments, all at the same time; returns the exit codes in order.

    Raises:
        SettingsError: accelerate is not installed.
    """
    if find_spec("accelerate") is None:
        raise SettingsError(missing_package("training a Qwen2-VL adapter", "accelerate", "train"))
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for launch, words in zip(launches, arguments, strict=True):
            # In its own session, so that the launcher's children end with it: none may outlive this process.
            environment = launch.environment(len(launches))
            processes.append(subprocess.Popen(launch.command(words), env=environment, start_new_session=True))
        return [process.wait() for process in processes]
    except BaseException:
        for process in processes:
            if process.poll() is None:
                _end(process.pid)
        for process in processes:
            process.wait()
        raise


def _end(pid: int) -> None:
    """End a launch and what it has started: its session; on Windows, which has none, its children and itself."""
    if hasattr(os, "killpg"):
        os.killpg(pid, signal.SIGTERM)
        return
    launcher = psutil.Process(pid)
    for process in (*launcher.children(recursive=True), launcher):
        with suppress(psutil.NoSuchProcess):
            process.terminate()


def _gpus() -> tuple[str, ...]:
    """The GPUs of this process, as CUDA_VISIBLE_DEVICES names them."""
    import torch

    n_gpus = torch.cuda.device_count()
    listed = os.environ.get(_VISIBLE)
    return tuple(listed.split(",")[:n_gpus]) if listed else tuple(map(str, range(n_gpus)))
