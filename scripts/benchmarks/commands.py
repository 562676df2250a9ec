"""The ordinary commands on shipped samples, each in a process of its own: train, predict, export, serve."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from mire.errors import MireError
from mire.labels import Task
from scripts.benchmarks.machine import Steps, bytes_of, most_of_a_child

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
ALONE = ("panel.image=[qwen2vl]", "panel.dialogue=[qwen2vl]", "folds=2", "qwen2vl.final=merge")
"""Settings of a panel of one voter that trains in two folds and no further."""
N_FEW = 2
SMALL = ("qwen2vl.max_pixels=50176", "qwen2vl.layout=compact", "qwen2vl.image.warmup=0")
"""So few screens, and their settings: 64 tokens each and a short prompt, since a CPU takes minutes for more."""
N_CLIENTS, N_REQUESTS = 8, 128
"""Clients of the service, and their requests after the first round, half of each task."""
START_SECONDS = 180


@dataclass(frozen=True)
class Commands:
    """The commands' panel in ``folder``, its settings (a configuration and overrides), and where steps are noted.

    Every method raises ``MireError`` where a command fails, and names the command's last line.
    """

    folder: Path
    config: str
    overrides: Sequence[str]
    steps: Steps

    def few_screens(self, every: Sequence[Any]) -> None:
        """Train, predict and export with a few of the screens, of one label."""
        few = [sample for sample in every if sample.label == every[0].label][:N_FEW]
        self._train("image", few, len(few), *SMALL)
        self._predict(few)
        self._export()

    def both_tasks(self, samples: Mapping[Task, Sequence[Any]], n_predicted: int) -> None:
        """Train both tasks, predict ``n_predicted`` rows and export, then ask a service for a sample of each in turn."""
        everything = [sample for own in samples.values() for sample in own]
        for task, own in samples.items():
            self._train(task, everything, len(own))
        self._predict(list(islice(cycle(everything), n_predicted or len(everything))))
        self._export()
        self._serve([sample for pair in zip(*samples.values(), strict=False) for sample in pair])

    def _train(self, task: Task, samples: Sequence[Any], n: int, *overrides: str) -> None:
        wanted = [part for entry in (*self.overrides, *ALONE, *overrides) for part in ("--set", entry)]
        self._run(f"train {task}", n, task, *self._files(samples), "--config", self.config, *wanted)

    def _predict(self, samples: Sequence[Any]) -> None:
        self._run("predict", len(samples), *self._files(samples), "--out", str(self.folder / "few.csv"))

    def _export(self) -> None:
        self._run("export", 1, "--panel", str(self._panel), "--out", str(self.folder / "shared"))

    def _serve(self, samples: Sequence[Any]) -> None:
        """Ask a service from several clients at once and from one; the first round, which loads kernels, by itself."""
        from scripts.benchmarks.serve import classify_body, load

        sent = [json.dumps(classify_body(sample)).encode() for sample in samples]
        with _served(self._panel) as (url, pid):
            for name, clients, n in (
                (f"serve, {N_CLIENTS} clients, first", N_CLIENTS, len(sent)),
                (f"serve, {N_CLIENTS} clients", N_CLIENTS, N_REQUESTS),
                ("serve, one client", 1, N_REQUESTS // N_CLIENTS),
            ):
                ask = partial(load, f"{url}/v1/classify", sent, clients=clients, requests=n)
                print(json.dumps(self.steps.take(name, n, ask, bytes_in_use=partial(bytes_of, pid))), flush=True)

    @property
    def _panel(self) -> Path:
        return self.folder / "panel"

    def _files(self, samples: Sequence[Any]) -> list[str]:
        """The arguments that name the samples and the panel."""
        data = self.folder / "few.json"
        rows = [{**sample.row, "id": f"{index}"} for index, sample in enumerate(samples)]
        data.write_text(json.dumps(rows, ensure_ascii=False), "utf-8")
        return ["--data", str(data), "--images", str(SAMPLES / "images"), "--panel", str(self._panel)]

    def _run(self, what: str, n: int, *arguments: str) -> None:
        call = partial(run_module, f"ensemble.{what.split()[0]}", arguments)
        self.steps.take(f"mire {what}, {n}", n, call, bytes_in_use=most_of_a_child)


@contextmanager
def _served(panel: Path) -> Iterator[tuple[str, int]]:
    """A service that is ready, by its address and process.

    Raises:
        MireError: it ended, or was not ready in time.
    """
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
