"""Every command over random combinations of broken files ends in order: with 0, 1 or 2, and in a few lines."""

import importlib
import random
import traceback
from pathlib import Path

import pytest
from bench import Bench
from fuzzed import Workshop

from ensemble.command import COMMANDS
from ensemble.drift import DRIFTED
from mire.cli import run

N_BATCHES, N_RUNS = 24, 25


@pytest.fixture(autouse=True)
def undisturbing(bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No hub, no port, no file outside the test's folder."""
    monkeypatch.setenv("MIRE_CACHE", str(bench.root / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("ensemble.serve.listening.listen", lambda *_, **__: None)
    monkeypatch.chdir(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("batch", range(N_BATCHES))
def test_any_combination_of_broken_files(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str], batch: int
) -> None:
    wrong: list[str] = []
    for number in range(N_RUNS):
        (tmp_path / str(number)).mkdir()
        workshop = Workshop(bench, tmp_path / str(number), random.Random(batch * N_RUNS + number))
        module, arguments = workshop.command()
        capsys.readouterr()
        try:
            code: object = run(importlib.import_module(module), arguments)
        except SystemExit as stop:
            code = stop.code
        except Exception:
            code = traceback.format_exc()
        if fault := fault_of(code, capsys.readouterr().err):
            wrong.append(f"{module} {' '.join(map(repr, arguments))}\n{fault}")
    assert not wrong, "\n\n".join(wrong)


def fault_of(code: object, said: str) -> str:
    """What is wrong with how a command ended; nothing, in most cases."""
    lines = said.splitlines()
    if code not in (0, 1, 2, DRIFTED):
        return f"exit {code}"
    errors = [number for number, line in enumerate(lines) if "error: " in line]
    if code in (0, DRIFTED):
        return said if "Traceback" in said else ""
    # Faults of a data file are listed, twenty at most, after the line that counts them.
    after = [line for line in lines[errors[-1] :] if not line.startswith("  ")] if errors else []
    return "" if 1 <= len(after) <= 5 and len(lines) <= 30 and "Traceback" not in said else f"exit {code}\n{said}"


def test_every_command_is_tried(bench: Bench, tmp_path: Path) -> None:
    assert Workshop(bench, tmp_path, random.Random(0)).commands().keys() == {*COMMANDS.values()} - {
        "ensemble.quickstart.__main__"
    }
