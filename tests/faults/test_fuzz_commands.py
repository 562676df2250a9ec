"""Every command over random combinations of broken files ends in order: with 0, 1 or 2, and in a few lines.

A prediction may be interrupted besides: what its journal keeps is what an undisturbed run says.
"""

import importlib
import random
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest
from bench import Bench
from fuzzed import Workshop

from ensemble.command import COMMANDS
from ensemble.drift import DRIFTED
from ensemble.prediction.worker import Answered, Worker
from ensemble.prediction.workload import Chunk
from mire.cli import run

N_BATCHES, N_RUNS = 24, 25
PREDICT, STOPPED = "ensemble.predict", 130


@pytest.fixture(autouse=True)
def undisturbing(bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No hub, no port, no file outside the test's folder."""
    monkeypatch.setenv("MIRE_CACHE", str(bench.root / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    # The variable is read once, when the library is imported.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
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
        with interrupted(workshop.dice.choice((0, 1, 2)) if module == PREDICT else -1):
            code = ended(module, arguments)
        said = capsys.readouterr().err
        fault = disagreement(arguments) if (module, code) == (PREDICT, STOPPED) else fault_of(code, said)
        if fault:
            wrong.append(f"{module} {' '.join(map(repr, arguments))}\n{fault}")
    assert not wrong, "\n\n".join(wrong)


@pytest.mark.slow
@pytest.mark.parametrize("chunk", [0, 1])
def test_an_interrupted_run_agrees_with_an_undisturbed_one(bench: Bench, tmp_path: Path, chunk: int) -> None:
    arguments = bench.command(tmp_path / "out.csv")[3:]
    with interrupted(chunk):
        assert ended(PREDICT, arguments) == STOPPED
    assert disagreement(arguments) == ""


@contextmanager
def interrupted(chunk: int) -> Iterator[None]:
    """Inside, Ctrl-C comes when a prediction would answer the chunk of this number."""
    numbers, answer = count(), Worker.answer

    def stop(self: Worker, asked: Chunk) -> Answered:
        if next(numbers) == chunk:
            raise KeyboardInterrupt
        return answer(self, asked)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Worker, "answer", stop)
        yield


def ended(module: str, arguments: list[str]) -> object:
    """The exit code, or the traceback."""
    try:
        return run(importlib.import_module(module), arguments)
    except SystemExit as stop:
        return stop.code
    except Exception:
        return traceback.format_exc()


def disagreement(arguments: list[str]) -> str:
    """How an interrupted prediction that goes on differs from an undisturbed one; nothing, if it does not."""
    out = Path(arguments[arguments.index("--out") + 1])
    other = out.with_name("undisturbed")
    resumed = ended(PREDICT, arguments)
    undisturbed = ended(PREDICT, [str(other) if argument == str(out) else argument for argument in arguments])
    if resumed != undisturbed:
        return f"resumed it ends with {resumed}, undisturbed with {undisturbed}"
    return "" if resumed or out.read_bytes() == other.read_bytes() else "the CSV is another than undisturbed"


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
