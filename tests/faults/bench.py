"""The real commands as processes of their own, on a small panel."""

import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from records import dialogue_instruction, image_instruction

PRIORITY = {"RAY_worker_niceness": "0"}
"""Ray starts its workers at a low priority: beside a busy program they would take minutes to load."""


@dataclass(frozen=True)
class Bench:
    """A trained panel, its data and its cache."""

    root: Path
    data: Path
    images: Path

    @property
    def panel(self) -> Path:
        return self.root / "panel"

    def environment(self, **changes: str) -> dict[str, str]:
        return {**os.environ, **PRIORITY, "MIRE_CACHE": str(self.root / "cache"), "OMP_NUM_THREADS": "1", **changes}

    def arguments(
        self, out: Path, *, data: Path | None = None, images: Path | None = None, panel: Path | None = None
    ) -> list[str]:
        """What ``predict`` is given."""
        return [
            "--data", str(data or self.data), "--images", str(images or self.images),
            "--panel", str(panel or self.panel), "--out", str(out),
        ]  # fmt: skip

    def command(self, out: Path, **options: Path | None) -> list[str]:
        """The prediction as a person types it."""
        return [sys.executable, "-m", "ensemble.predict", *self.arguments(out, **options)]

    def predict(self, out: Path, *extra: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return finish([*self.command(out, **options), *extra], self.environment())


def finish(command: Sequence[str], environment: dict[str, str], **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False, **options)


def peak_mib(command: Sequence[str], environment: dict[str, str]) -> float:
    """The most memory that a command held itself, its children not counted; it must end with exit code 0."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, env=environment, stderr=said, stdout=subprocess.DEVNULL)
        peak = 0
        while process.poll() is None:
            peak = max(peak, _peak_kib(process.pid))
            time.sleep(0.02)
        said.seek(0)
        assert process.returncode == 0, said.read().decode()
    return peak / 1024


def _peak_kib(pid: int) -> int:
    """The kernel's own count since the program began; ``ru_maxrss`` would include what the starting process held."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


def error_line(done: subprocess.CompletedProcess[str]) -> str:
    """The one line in which a failed command says why; it must be the only one and no traceback."""
    assert "Traceback" not in done.stderr, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    return line


def rows(path: Path) -> list[dict[str, str]]:
    csv.field_size_limit(2**31 - 1)
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def report(out: Path) -> dict[str, Any]:
    return dict(json.loads(out.with_suffix(".report.json").read_text(encoding="utf-8")))


def write_many(path: Path, images: Path | None, n: int) -> Path:
    """A data file of ``n`` samples, every fourth with a picture if there are ``images``, no two alike."""
    pictures = sorted(picture.name for picture in images.glob("*.png")) if images else []
    words = ("会生锈吗", "什么时候有货", "冬天能穿吗")
    records: list[dict[str, Any]] = []
    for number in range(n):
        if pictures and number % 4 == 0:
            text, names = image_instruction(), [pictures[number % len(pictures)]]
        else:
            said = f"用户: 第{number}件{words[number % 3]}"
            text, names = dialogue_instruction("客服: 您好", said), []
        records.append({"id": f"s{number * 7919 % n:05d}", "instruction": text, "output": "", "image": names})
    path.write_text(json.dumps(records, ensure_ascii=False), encoding="utf-8")
    return path


def start(bench: Bench, out: Path, data: Path, *extra: str) -> "subprocess.Popen[str]":
    """A prediction under way, its lines to be read."""
    return subprocess.Popen(
        [*bench.command(out, data=data), *extra],
        env=bench.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
