"""Bars on the project's own speed that depend on the machine: what was measured, the bar, and whether it is met.

    python -m scripts.benchmarks.bars --panel runs/p --data train.json --images images

Start: CPU seconds of ``--help`` of every command, against importing numpy, pydantic, yaml and Pillow. Router: seconds to
train its classifier, and known prompts per second. Broken samples: CPU seconds of predicting ``--samples`` samples of
which three in a hundred are broken, against the same samples unbroken. Prints one line per bar and one JSON line.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from mire.cli import run
from mire.errors import MireError
from scripts.benchmarks.machine import best_of

IMPORTS = "import numpy, pydantic, yaml, PIL.Image"
MAX_START = 8.0
"""Times the imports: about one second on two quiet cores."""
MAX_TRAINING_SECONDS = 1.0
MIN_PROMPTS_PER_SECOND = 20_000
MAX_BROKEN = 1.15
"""Times the clean file: 1.05 was measured, and every chunk done twice would make 1.36."""
BROKEN_EVERY = 33
N_TRIES = 3
"""Other programs that share a core's caches make anything dearer for a while: the cheapest run counts."""


@dataclass(frozen=True)
class Bar:
    """One measurement and the most that it may be or, where ``at_least``, the least."""

    name: str
    measured: float
    bar: float
    at_least: bool = False

    @property
    def met(self) -> bool:
        return self.measured >= self.bar if self.at_least else self.measured <= self.bar


def cpu_seconds(arguments: Sequence[str]) -> float:
    """User and system seconds of a Python process and those that it starts; the least of some runs.

    Raises:
        MireError: it failed; its last line is named.
    """
    return min(_cpu_seconds(arguments) for _ in range(N_TRIES))


def _cpu_seconds(arguments: Sequence[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise MireError(f"python {' '.join(arguments)} failed: {done.stderr.strip().splitlines()[-1]}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def start_bar() -> Bar:
    """``mire --help``, which declares the arguments of every command, in units of the imports."""
    seconds = cpu_seconds(["-m", "ensemble.command", "--help"])
    return Bar("mire --help, times the imports", seconds / cpu_seconds(["-c", IMPORTS]), MAX_START)


def router_bars(prompts: Sequence[str]) -> list[Bar]:
    """Seconds to train the router's classifier, and known prompts per second."""
    from router import classifier
    from router.route import route_text

    training = best_of(N_TRIES, lambda: classifier.untrained().fit(*classifier.phrases())).seconds
    routing = best_of(N_TRIES, lambda: [route_text(prompt) for prompt in prompts]).seconds
    return [
        Bar("seconds to train the router's classifier", training, MAX_TRAINING_SECONDS),
        Bar("known prompts per second", len(prompts) / routing, MIN_PROMPTS_PER_SECOND, at_least=True),
    ]


def broken_bar(predict: Callable[[Path, Path], Sequence[str]], records: Sequence[dict[str, Any]]) -> Bar:
    """Predict a file with broken samples and without; ``predict`` gives the arguments for a data file and a CSV."""
    mixed = [_broken(record) if index % BROKEN_EVERY == 0 else record for index, record in enumerate(records)]
    seconds = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, part in (("clean", records), ("mixed", mixed)):
            data = Path(folder, f"{name}.json")
            data.write_text(json.dumps(part), encoding="utf-8")
            # A finished run answers from its journal, so each run has a CSV of its own.
            seconds[name] = min(
                _cpu_seconds(predict(data, Path(folder, f"{name}{number}.csv"))) for number in range(N_TRIES)
            )
    return Bar("three in a hundred broken, times the clean file", seconds["mixed"] / seconds["clean"], MAX_BROKEN)


def _broken(record: dict[str, Any]) -> dict[str, Any]:
    """The record with a picture that is not there, or without words."""
    return record | ({"image": ["missing.png"]} if record["image"] else {"instruction": ""})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the benchmark's arguments."""
    parser.add_argument("--panel", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True, help="official JSON; repeated up to --samples")
    parser.add_argument("--images", type=Path, required=True, help="folder of the pictures")
    parser.add_argument("--samples", type=int, default=10_000, help="samples of the file with broken ones")


def execute(options: argparse.Namespace) -> None:
    """Measure, print a line per bar and one JSON line."""
    known = json.loads(options.data.read_text(encoding="utf-8"))
    records = [record | {"id": str(n)} for n, record in enumerate(islice(cycle(known), options.samples))]
    usual = ["-m", "ensemble.predict", "--images", str(options.images), "--panel", str(options.panel)]
    bars = [
        start_bar(),
        *router_bars([record["instruction"] for record in records]),
        broken_bar(lambda data, out: [*usual, "--data", str(data), "--out", str(out)], records),
    ]
    for bar in bars:
        words = "at least" if bar.at_least else "at most"
        print(f"{bar.name:<50} {bar.measured:>10.2f}, {words} {bar.bar:g}: {'met' if bar.met else 'MISSED'}")
    print(json.dumps({"bars": [asdict(bar) | {"met": bar.met} for bar in bars]}))


if __name__ == "__main__":
    raise SystemExit(run(sys.modules[__name__]))
