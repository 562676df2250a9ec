"""How the Qwen2-VL adapters are trained: on which devices, and how the work is spread over them."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from importlib.util import find_spec

from mire.errors import SettingsError, missing_package
from mire.launch_options import Kind
from mire.settings import Training

_VISIBLE = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True)
class Launch:
    """Training on some devices, a process each: ``gpus`` by number or UUID, or ``n_processes`` on the CPU."""

    kind: Kind
    gpus: tuple[str, ...]
    n_processes: int

    @classmethod
    def choose(cls, kind: Kind, n_devices: int | None) -> "Launch":
        """The first ``n_devices`` GPUs that this process may use (None: all); where there is none, CPU processes.

        Raises:
            SettingsError: there are not so many, or ZeRO-2 lacks its GPUs or its library.
        """
        gpus = _gpus()
        n_processes = n_devices or len(gpus) or 1
        if gpus and n_processes > len(gpus):
            raise SettingsError(f"--devices {n_processes}: this machine shows {len(gpus)} GPUs; ask for fewer")
        if kind == "zero2" and not gpus:
            raise SettingsError("--launch zero2 needs GPUs, and there is none here; take ddp or fsdp")
        if kind == "zero2" and find_spec("deepspeed") is None:
            raise SettingsError(
                "--launch zero2 needs the package deepspeed: pip install deepspeed, or take ddp or fsdp"
            )
        return cls(kind, gpus[:n_processes], n_processes)

    def groups(self, n_jobs: int, training: Training) -> Iterator["Launch"]:
        """Divide the devices among trainings that run side by side: one group each, as many as there is work for.

        A group has as many devices as the batch can be divided among. With fsdp all devices stay together: it is
        for a base that does not fit on fewer.
        """
        n_groups = 1 if self.kind == "fsdp" else min(n_jobs, self.n_processes)
        size = self.n_processes // n_groups
        if n_groups > 1:
            size = max(n for n in range(1, size + 1) if training.batch_size % n == 0)
        for start in range(0, n_groups * size, size):
            yield Launch(self.kind, self.gpus[start : start + size], size)

    def command(self, arguments: Sequence[str], n_side_by_side: int = 1) -> list[str]:
        """The command line that trains one adapter on these devices."""
        several = self.n_processes > 1 or self.kind == "zero2"
        name = "one" if not several else "zero2" if self.kind == "zero2" else "ddp"
        command = [
            sys.executable,
            "-m",
            "accelerate.commands.launch",
            "--quiet",
            "--config_file",
            _settings(f"{name}.yaml"),
        ]
        if name == "zero2":
            command += ["--deepspeed_config_file", _settings("zero2.json")]
        command += ["--num_processes", str(self.n_processes)]
        if several:
            command += ["--main_process_port", "0"]  # any free one: others may train on this machine
        # accelerate gives a process one thread unless it is told otherwise.
        n_threads = (os.cpu_count() or 1) // (self.n_processes * n_side_by_side)
        command += ["--num_cpu_threads_per_process", str(max(1, n_threads))]
        command += ["-m", "experts.qwen2vl.train", *arguments]
        return [*command, "--sharded"] if self.kind == "fsdp" else command

    def environment(self) -> Mapping[str, str]:
        """This process's environment with these GPUs only: whatever is visible, the trainer takes."""
        return {**os.environ, _VISIBLE: ",".join(self.gpus)} if self.gpus else os.environ


def run_side_by_side(launches: Sequence[Launch], arguments: Sequence[Sequence[str]]) -> list[int]:
    """Train one adapter on each launch's devices, all at the same time; the exit codes.

    Raises:
        SettingsError: accelerate is not installed.
    """
    if find_spec("accelerate") is None:
        raise SettingsError(missing_package("training a Qwen2-VL adapter", "accelerate", "train"))
    processes: list[subprocess.Popen] = []
    try:
        for launch, words in zip(launches, arguments, strict=True):
            # A session of its own, because the launcher has children: they must not outlive this process.
            command = launch.command(words, len(launches))
            processes.append(subprocess.Popen(command, env=launch.environment(), start_new_session=True))
        return [process.wait() for process in processes]
    except BaseException:
        for process in processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
        for process in processes:
            process.wait()
        raise


def _gpus() -> tuple[str, ...]:
    """What names each GPU of this process, for the environment of another."""
    import torch

    n_gpus = torch.cuda.device_count()
    listed = os.environ.get(_VISIBLE)
    return tuple(listed.split(",")[:n_gpus]) if listed else tuple(map(str, range(n_gpus)))


def _settings(name: str) -> str:
    """Path of a file of launch settings that ships with the package."""
    return str(resources.files("experts.qwen2vl.training").joinpath("accelerate", name))
