"""A base of the true shape with random weights, through the product's own path: train, predict, export.

    python -m scripts.benchmarks.true_size                  # Qwen2-VL-7B on a GPU
    python -m scripts.benchmarks.true_size --samples 0      # by the commands alone: what a CPU with 24 GiB can hold
    python -m scripts.benchmarks.true_size --samples 0 --by-commands 64   # both tasks, and a service under load
    python -m scripts.benchmarks.true_size --shape nano     # the same steps in two minutes

Writes the checkpoint as the hub has it (sharded, its key names, bfloat16; 16.6 GB for the 7B) with nano's tokenizer.
In one process both tasks' adapters are trained and vote: apart, merged, and apart in compiled layers. Then the ordinary
commands train an adapter on a few shipped screens, predict and export; with ``--by-commands N`` both tasks' adapters on
N shipped samples each, and ``mire serve`` answers 8 clients. Random weights answer nothing: only seconds, memory and
agreement mean something. Prints one table and one JSON line.
"""

import argparse
import gc
import json
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mire.cli import run
from mire.errors import MireError
from mire.labels import TASKS, Task
from scripts.benchmarks.machine import timed

SHAPES = {"qwen2-vl-7b": "Qwen/Qwen2-VL-7B-Instruct", "nano": "nano"}
SAMPLES = Path(__file__).resolve().parents[2] / "samples"
N_FEW = 2
FEW = ("qwen2vl.max_pixels=50176", "qwen2vl.layout=compact", "panel.image=[qwen2vl]", "folds=2", "qwen2vl.final=merge",
       "qwen2vl.image.warmup=0")  # fmt: skip
"""Screens of the commands, and their settings: 64 tokens each and a short prompt, since a CPU takes minutes for more."""
BOTH = ("panel.image=[qwen2vl]", "panel.dialogue=[qwen2vl]", "folds=2", "qwen2vl.final=merge")
"""Settings of the commands with many samples: the task's own sizes."""
N_CLIENTS, N_REQUESTS = 8, 128
"""Clients of the service, and their requests after the first round, half of each task."""
START_SECONDS = 180
N_PASSES, HALF_PASS = 10, 8
"""Mixed passes, each of so many screens and as many dialogues: what a busy service makes."""


@dataclass(frozen=True)
class Step:
    """One step: its seconds, what it handled per second, the device's peak memory, and the process's memory."""

    name: str
    seconds: float
    per_second: float
    device_gib: float
    host_gib: float


def write_checkpoint(folder: Path, shape: str, device: str) -> None:
    """Random weights of the shape in bfloat16, nano's tokenizer and processor settings."""
    import torch
    from transformers import AutoTokenizer

    from experts.qwen2vl.base import base_source
    from scripts.benchmarks.synthetic import random_model

    nano = Path(base_source("nano"))
    tokenizer = AutoTokenizer.from_pretrained(nano, trust_remote_code=False)
    model = random_model(shape, device, torch.bfloat16)
    for entry, token in (("image", "image_pad"), ("video", "video_pad"), ("vision_start", "vision_start")):
        setattr(model.config, f"{entry}_token_id", tokenizer.convert_tokens_to_ids(f"<|{token}|>"))
    model.save_pretrained(folder, max_shard_size="5GB")
    tokenizer.save_pretrained(folder)
    shutil.copy(nano / "preprocessor_config.json", folder)


def own_bytes() -> int:
    """Of this process, now."""
    import psutil

    return int(psutil.Process().memory_info().rss)


def most_of_a_child() -> int:
    """Of the largest process that was started so far and has ended."""
    return 1024 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss


class Steps(list[Step]):
    """The steps so far, each printed as it ends."""

    def take(self, name: str, n: int, call: Callable[[], Any], *, bytes_in_use: Callable[[], int] = own_bytes) -> Any:
        """Run a step that handles ``n`` things; returns what it returned. ``bytes_in_use`` is asked afterwards."""
        import torch

        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        done = timed(call)
        device = torch.cuda.max_memory_allocated() / 2**30 if torch.cuda.is_available() else 0.0
        host = bytes_in_use() / 2**30
        self.append(Step(name, done.seconds, n / done.seconds, device, host))
        print(f"{name:<34} {done.seconds:>9.2f} {n / done.seconds:>10.2f} {device:>7.1f} {host:>7.1f}", flush=True)
        return done.value


def labelled(task: Task, n: int) -> list[Any]:
    """The first ``n`` shipped training samples of the task."""
    from mire.samples import read_samples
    from router.route import route

    every = read_samples(SAMPLES / "train.json", SAMPLES / "images")
    return [sample for sample in every if route(sample.prompt).task == task][:n]


def measure(folder: Path, settings: Any, n_samples: int, steps: Steps) -> None:
    """In one process: training, then votes with adapters apart, merged, and apart in compiled layers."""
    samples = {task: labelled(task, n_samples) for task in TASKS}
    for task in TASKS:
        train(settings, task, samples[task], folder, steps)
    votes = {}
    for how in ({"adapters": "apart"}, {"adapters": "merged"}, {"adapters": "apart", "compile": True}):
        name = "compiled" if "compile" in how else how["adapters"]
        votes[name] = vote(settings.qwen2vl.model_copy(update=how), name, samples, folder, steps)
    for name in ("merged", "compiled"):
        print(f"same label apart and {name}: {100 * agreement(votes['apart'], votes[name]):.0f} %")


def load(stage: Any, steps: Steps, name: str) -> Any:
    """A base of these settings, once the memory of what was there before is free."""
    import torch

    from experts.qwen2vl.base import load_base

    gc.collect()
    torch.cuda.empty_cache()
    return steps.take(name, 1, lambda: load_base(stage))


def train(settings: Any, task: Task, samples: Sequence[Any], folder: Path, steps: Steps) -> None:
    """One epoch of the task's adapter, on a base of its own."""
    from experts.qwen2vl.training.trainer import train_adapter
    from mire.labels import builtin_taxonomy

    base = load(settings.qwen2vl, steps, "load the base")
    call = partial(
        train_adapter, base, samples, [], taxonomy=builtin_taxonomy(task), settings=settings, folder=folder / task
    )
    steps.take(f"train an epoch, {task}", len(samples), call)


def vote(stage: Any, how: str, samples: Mapping[Task, Sequence[Any]], folder: Path, steps: Steps) -> list[Any]:
    """Both adapters' votes, from the files, twice, since the first time loads kernels; then passes of mixed samples."""
    from experts.qwen2vl.voter import Qwen2VLVoter
    from mire.labels import builtin_taxonomy

    base = load(stage, steps, f"load again, {how}")
    voters = {
        task: Qwen2VLVoter.load(folder / task, taxonomy=builtin_taxonomy(task), settings=stage, base=base)
        for task in TASKS
    }
    votes = []
    for task, voter in voters.items():
        steps.take(f"vote, {how}, {task}, first", len(samples[task]), partial(voter.vote, samples[task]))
        votes += steps.take(f"vote, {how}, {task}", len(samples[task]), partial(voter.vote, samples[task]))

    def mixed() -> None:
        for start in range(0, N_PASSES * HALF_PASS, HALF_PASS):
            for task, voter in voters.items():
                voter.vote([samples[task][index % len(samples[task])] for index in range(start, start + HALF_PASS)])

    steps.take(f"passes of 8 + 8, {how}", N_PASSES, mixed)
    return votes


def agreement(first: Sequence[Any], second: Sequence[Any]) -> float:
    """The share of samples on which two lists of votes agree."""
    best = [
        [max(range(len(p)), key=p.__getitem__) for p in (v.probabilities for v in votes)] for votes in (first, second)
    ]
    return sum(a == b for a, b in zip(*best, strict=True)) / len(first)


def by_commands(folder: Path, shape: str, entries: Sequence[str], steps: Steps) -> None:
    """The ordinary commands, each in a process of its own, on a few screens: train, predict, export.

    Raises:
        MireError: a command failed; its last line is named.
    """
    every = labelled("image", sys.maxsize)
    few = [sample for sample in every if sample.label == every[0].label][:N_FEW]
    commands = Commands(folder, few, steps)
    commands.train("image", shape, (*entries, *FEW))
    commands.predict()
    commands.export()


def both_by_commands(folder: Path, shape: str, entries: Sequence[str], n_samples: int, steps: Steps) -> None:
    """The same with both tasks, ``n_samples`` of each, and a service that clients ask.

    Raises:
        MireError: a command failed; its last line is named.
    """
    commands = Commands(folder, [sample for task in TASKS for sample in labelled(task, n_samples)], steps)
    for task in TASKS:
        commands.train(task, shape, (*entries, *BOTH))
    commands.predict()
    commands.export()
    commands.serve()


@dataclass(frozen=True)
class Commands:
    """What the commands get: the samples, of which they make a panel in the folder."""

    folder: Path
    samples: Sequence[Any]
    steps: Steps

    def train(self, task: Task, shape: str, entries: Sequence[str]) -> None:
        """Train the task's experts in folds."""
        wanted = [part for entry in entries for part in ("--set", entry)]
        n = sum(sample.label in builtin_labels(task) for sample in self.samples)
        self._run("train", n, f" {task}", task, *self._files(), "--config", shape, *wanted)

    def predict(self) -> None:
        """Answer all samples."""
        self._run("predict", len(self.samples), "", *self._files(), "--out", str(self.folder / "few.csv"))

    def export(self) -> None:
        """A panel without what training left."""
        panel, out = str(self._panel), str(self.folder / "shared")
        self._run("export", len(self.samples), "", "--panel", panel, "--out", out)

    def serve(self) -> None:
        """Start a service, then ask it from several clients at once and from one; the first round, which loads kernels, is a step of its own."""
        from scripts.benchmarks.serve import classify_body, load

        sent = [json.dumps(classify_body(sample)).encode() for sample in _alternating(self.samples)]
        with _served(self._panel) as (url, pid):
            for name, clients, n in (
                (f"serve, {N_CLIENTS} clients, first", N_CLIENTS, len(sent)),
                (f"serve, {N_CLIENTS} clients", N_CLIENTS, N_REQUESTS),
                ("serve, one client", 1, N_REQUESTS // 4),
            ):
                ask = partial(load, f"{url}/v1/classify", sent, clients=clients, requests=n)
                print(json.dumps(self.steps.take(name, n, ask, bytes_in_use=partial(bytes_of, pid))), flush=True)

    @property
    def _panel(self) -> Path:
        return self.folder / "panel"

    def _files(self) -> list[str]:
        """The arguments that name the samples and the panel."""
        data = self.folder / "few.json"
        data.write_text(json.dumps([sample.row for sample in self.samples], ensure_ascii=False), "utf-8")
        return ["--data", str(data), "--images", str(SAMPLES / "images"), "--panel", str(self._panel)]

    def _run(self, command: str, n: int, what: str, *arguments: str) -> None:
        call = partial(run_module, f"ensemble.{command}", arguments)
        self.steps.take(f"mire {command}{what}, {n} samples", n, call, bytes_in_use=most_of_a_child)


def builtin_labels(task: Task) -> Sequence[str]:
    """The challenge's labels of a task."""
    from mire.labels import builtin_taxonomy

    return builtin_taxonomy(task).labels


def _alternating(samples: Sequence[Any]) -> list[Any]:
    """A screen, a dialogue, and so on, as long as there are both."""
    of_tasks = [[sample for sample in samples if sample.label in builtin_labels(task)] for task in TASKS]
    return [sample for pair in zip(*of_tasks, strict=False) for sample in pair]


def bytes_of(pid: int) -> int:
    """Of another process, now."""
    import psutil

    return int(psutil.Process(pid).memory_info().rss)


@contextmanager
def _served(panel: Path) -> Iterator[tuple[str, int]]:
    """A service that is ready, by its address and process.

    Raises:
        MireError: it ended, or was not ready in time.
    """
    from urllib.error import URLError
    from urllib.request import urlopen

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url, log = f"http://127.0.0.1:{port}", panel.with_name("serve.log")
    command = [sys.executable, "-m", "ensemble.serve", "--panel", str(panel), "--port", str(port)]
    with log.open("w") as file, subprocess.Popen(command, stderr=file, stdout=file) as process:
        try:
            until = time.monotonic() + START_SECONDS
            while True:
                try:
                    # The address is our own.
                    urlopen(f"{url}/healthz", timeout=1).close()  # noqa: S310
                    break
                except (URLError, TimeoutError) as error:
                    if process.poll() is not None or time.monotonic() > until:
                        raise MireError(f"the service did not start: {log.read_text().strip()[-500:]}") from error
                    time.sleep(0.5)
            yield url, process.pid
        finally:
            process.terminate()


def run_module(module: str, arguments: Sequence[str]) -> None:
    """Run a command in a process of its own.

    Raises:
        MireError: it failed; its last line is named.
    """
    done = subprocess.run([sys.executable, "-m", module, *arguments], text=True, stderr=subprocess.PIPE)
    if done.returncode:
        raise MireError(f"{module} failed: {(done.stderr.splitlines() or ['it said nothing'])[-1]}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the benchmark's arguments."""
    parser.add_argument("--shape", choices=tuple(SHAPES), default="qwen2-vl-7b")
    parser.add_argument(
        "--samples", type=int, default=64, help="samples per task in one process (default: 64; 0: none)"
    )
    parser.add_argument(
        "--by-commands", type=int, metavar="N", help="samples per task of the commands (default: a few screens)"
    )


def execute(options: argparse.Namespace) -> None:
    """Measure, print a table and one JSON line."""
    import torch

    from experts.qwen2vl.model.device import default_device
    from mire.settings import load_settings

    steps = Steps()
    print(f"{'step':<34} {'seconds':>9} {'per second':>10} {'GPU GiB':>7} {'host':>7}")
    with tempfile.TemporaryDirectory(prefix="true-size-") as name:
        folder, shape = Path(name), options.shape
        write = partial(write_checkpoint, folder / "base", SHAPES[shape], default_device())
        steps.take("write the checkpoint", 1, write)
        entries = [f"qwen2vl.base={folder / 'base'}", "qwen2vl.dtype=bfloat16"]
        entries += [f"qwen2vl.{task}.epochs=1" for task in TASKS]
        if options.samples:
            measure(folder, load_settings(shape, entries), options.samples, steps)
        if options.by_commands:
            both_by_commands(folder, shape, entries, options.by_commands, steps)
        else:
            by_commands(folder, shape, entries, steps)
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    print(json.dumps({"device": name, "shape": options.shape, "torch": torch.__version__,
                      "steps": [asdict(step) for step in steps]}))  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(run(sys.modules[__name__]))
