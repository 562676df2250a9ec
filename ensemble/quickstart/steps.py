"""The commands of the quickstart, and what it says of them."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from mire.compat import usable_cores
from mire.errors import DataError, MireError, missing_package
from mire.labels import TASKS

_CLONE = Path(__file__).parents[2]
_QUICK = ("--set", "folds=2", "--set", "panel.image=[clip_lightgbm]", "--set", "clip.model=mire-nano",
          "--set", "clip.weights=random", "--set", "clip.trees={max_bin: 63, feature_fraction: 0.1}")  # fmt: skip
"""Of ``cpu`` what is trained in seconds: reading the screens' text takes minutes."""

Command = tuple[str, ...]
"""The module of a command, and its arguments."""


@dataclass(frozen=True)
class Step:
    """What the user is told, the commands to run, and the files that they leave to look at.

    The commands of one group need nothing of each other, and share the cores.
    """

    title: str
    groups: tuple[tuple[Command, ...], ...]
    made: tuple[Path, ...] = ()


def shipped(*, page: bool) -> Path:
    """The folder of the shipped samples.

    Raises:
        DataError: they are not beside the code, as in a wheel.
        MireError: a page is asked for, and its packages are not installed.
    """
    if not (_CLONE / "samples" / "train.json").is_file():
        raise DataError("the quickstart needs the shipped samples: clone the repository, and pip install -e . there")
    if page and find_spec("gradio") is None:
        raise MireError(missing_package("--page", "gradio", "serve"))
    return _CLONE / "samples"


def three_steps(samples: Path, out: Path) -> Iterator[Step]:
    """Two quick voters; the whole ensemble; its ablation."""
    train, test = (
        ("--data", str(samples / f"{name}.json"), "--images", str(samples / "images")) for name in ("train", "test")
    )
    first, panel = ("--panel", str(out / "first" / "panel")), ("--panel", str(out / "panel"))
    yield Step(
        "1 of 3: two voters that need no GPU and no adapter",
        (
            tuple(("ensemble.train", task, *train, *first, "--config", "cpu", *_QUICK, "--quiet") for task in TASKS),
            (
                ("ensemble.predict", *test, *first, "--out", str(out / "first" / "submit.csv"), "--quiet"),
                ("ensemble.ablate", *test, *first, "--out", str(out / "first"), "--quiet"),
            ),
        ),
        (out / "first" / "submit.csv", out / "first" / "ablation.html"),
    )
    yield Step(
        "2 of 3: the whole ensemble in miniature, with a LoRA expert per task; a line per epoch",
        (tuple(("ensemble.train", task, *train, *panel, "--config", "nano") for task in TASKS),),
    )
    yield Step(
        "3 of 3: the test set's labels, and what each voter adds, on samples that none of them has seen",
        (
            (
                ("ensemble.predict", *test, *panel, "--out", str(out / "submit.csv"), "--quiet"),
                ("ensemble.ablate", *test, *panel, "--out", str(out), "--quiet"),
            ),
        ),
    )


def serve(out: Path) -> Command:
    """A page on the trained panel."""
    return ("ensemble.serve", "--panel", str(out / "panel"))


def run_commands(commands: Sequence[Command]) -> None:
    """Run commands at the same time if there is a core for each; every one says itself what fails.

    Raises:
        SystemExit: one has failed, with its exit code, once all have ended.
    """
    cores_each = usable_cores() // len(commands)
    for together in [commands] if cores_each else [[command] for command in commands]:
        shared = {"OMP_NUM_THREADS": str(cores_each)} if len(together) > 1 else {}
        running = [subprocess.Popen([sys.executable, "-m", *each], env={**os.environ, **shared}) for each in together]
        try:
            codes = [process.wait() for process in running]
        finally:
            for process in running:
                process.terminate()  # where this one was interrupted; else it has ended
        if failed := next(filter(None, codes), 0):
            raise SystemExit(failed)


def stopwatch() -> Callable[[], str]:
    """Minutes and seconds since now."""
    started = time.monotonic()

    def read() -> str:
        seconds = round(time.monotonic() - started)
        return f"{seconds // 60}:{seconds % 60:02d}"

    return read


def box(out: Path, taken: str) -> str:
    """What was made, what the figures mean, and what to do next."""
    lines = (
        f"{out / 'ablation.html'}: the report, to open in a browser; beside it submit.csv, a label per test sample",
        'F1: 1 is perfect, "mean panel" is the headline; samples and base are toys. Next, with .venv activated:',
        f"  mire serve --panel {out / 'panel'}       a page on this panel; names a package that is missing",
        f"  mire explain --panel {out / 'panel'}     the words that speak for each label",
        "  mire train all --data YOURS.json --images FOLDER --panel runs/mine --config cpu",
    )
    return "\n".join((f"+-- done in {taken} {'-' * 94}", *(f"| {line}" for line in lines)))
