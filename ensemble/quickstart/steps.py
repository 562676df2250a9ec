"""The commands of the quickstart, and what it says of them."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from mire.errors import DataError, MireError, missing_package

_CLONE = Path(__file__).parents[2]
_QUICK = ("--set", "folds=2", "--set", "panel.image=[clip_lightgbm]", "--set", "clip.model=mire-nano",
          "--set", "clip.weights=random", "--set", "clip.trees={max_bin: 63, feature_fraction: 0.1}")  # fmt: skip
"""Of ``cpu`` what is trained in seconds: reading the screens' text takes minutes."""

Command = tuple[str, ...]
"""The module of a command, and its arguments."""


@dataclass(frozen=True)
class Step:
    """What the user is told, the commands to run, and the files that they leave to look at."""

    title: str
    commands: tuple[Command, ...]
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
            ("ensemble.train", "all", *train, *first, "--config", "cpu", *_QUICK, "--quiet"),
            ("ensemble.predict", *test, *first, "--out", str(out / "first" / "submit.csv"), "--quiet"),
            ("ensemble.ablate", *test, *first, "--out", str(out / "first"), "--quiet"),
        ),
        (out / "first" / "submit.csv", out / "first" / "ablation.html"),
    )
    yield Step(
        "2 of 3: the whole ensemble in miniature, with a LoRA expert per task; a line per epoch",
        (
            ("ensemble.train", "all", *train, *panel, "--config", "nano"),
            ("ensemble.predict", *test, *panel, "--out", str(out / "submit.csv"), "--quiet"),
        ),
    )
    yield Step(
        "3 of 3: what each voter adds, on samples that none of them has seen",
        (("ensemble.ablate", *test, *panel, "--out", str(out), "--quiet"),),
    )


def serve(out: Path) -> Command:
    """A page on the trained panel."""
    return ("ensemble.serve", "--panel", str(out / "panel"))


def run_command(command: Command) -> None:
    """Run a command in a process of its own, which says itself what fails.

    Raises:
        SystemExit: with its exit code, where that is not 0.
    """
    if code := subprocess.run([sys.executable, "-m", *command], check=False).returncode:
        raise SystemExit(code)


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
