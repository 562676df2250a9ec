"""The quickstart's steps: which commands run, what is said, and where it cannot work."""

import argparse
import importlib
from pathlib import Path
from typing import Any, ClassVar

import pytest

from ensemble.quickstart import __main__ as quickstart
from ensemble.quickstart import steps
from mire.cli import run

ROOT = Path(__file__).parents[3]
LOG = ROOT / "docs" / "quickstart.txt"


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[steps.Command]:
    """The commands that were run, which do nothing here."""
    found: list[steps.Command] = []
    monkeypatch.setattr(steps, "run_commands", found.extend)
    return found


class Understood(BaseException):
    """The command line was parsed."""


def test_every_command_is_understood_and_reads_what_is_shipped(
    commands: list[steps.Command], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(quickstart, ["--out", str(tmp_path), "--page"]) == 0
    each = [f"ensemble.{word}" for word in ("train", "train", "predict", "ablate")]
    assert [module for module, *_ in commands] == [*each, *each, "ensemble.serve"]
    parse = argparse.ArgumentParser.parse_args
    read: list[argparse.Namespace] = []

    def parse_only(self: argparse.ArgumentParser, args: Any = None, namespace: Any = None) -> None:
        read.append(parse(self, args, namespace))
        raise Understood

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_only)
    for module, *words in commands:
        name = "ensemble.serve.__main__" if module == "ensemble.serve" else module
        with pytest.raises(Understood):
            run(importlib.import_module(name), [word for word in words if word != "--quiet"])  # it would last
    assert all(options.data.is_file() and options.images.is_dir() for options in read[:-1])
    assert [options.panel for options in read] == [tmp_path / "first" / "panel"] * 4 + [tmp_path / "panel"] * 5


def test_what_is_said_is_what_the_documentation_shows(
    commands: list[steps.Command], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The captured log holds each line of ours, its times aside, and all of it fits on a screen."""
    assert run(quickstart, []) == 0
    said = [untimed(line) for line in capsys.readouterr().err.splitlines()]
    shown = [untimed(line) for line in LOG.read_text(encoding="utf-8").splitlines()]
    assert [line for line in shown if line in said] == said
    assert len(shown) <= 60


def untimed(line: str) -> str:
    """A line without the time in it."""
    start, found, rest = line.partition(" of 3:")
    box, done, _ = line.partition(" ---")
    return f"{start[-1]}{found}{rest}" if found else "+-- done" if done and box else line


class Process:
    """A command that has ended."""

    started: ClassVar[list[tuple[str, str | None]]] = []

    def __init__(self, words: list[str], env: dict[str, str]) -> None:
        self.started.append((words[-1], env.get("OMP_NUM_THREADS")))
        self.code = int(words[-1])

    def wait(self) -> int:
        return self.code

    def terminate(self) -> None: ...


@pytest.mark.parametrize(("n_cores", "n_threads"), [(1, None), (5, "2")])
def test_commands_share_the_cores_and_a_failing_one_ends_it_with_its_exit_code(
    monkeypatch: pytest.MonkeyPatch, n_cores: int, n_threads: str | None
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(steps, "usable_cores", lambda: n_cores)
    monkeypatch.setattr(steps.subprocess, "Popen", Process)
    monkeypatch.setattr(Process, "started", [])
    with pytest.raises(SystemExit, match="143"):
        steps.run_commands([("0",), ("143",)])
    assert Process.started == [("0", n_threads), ("143", n_threads)]


def test_without_the_samples_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(steps, "_CLONE", tmp_path)
    assert run(quickstart, []) == 1
    assert capsys.readouterr().err == (
        "error: the quickstart needs the shipped samples: clone the repository, and pip install -e . there\n"
    )


def test_a_page_without_its_packages_is_refused_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(steps, "find_spec", lambda name: None)
    assert run(quickstart, ["--page"]) == 1
    assert capsys.readouterr().err == (
        "error: --page needs the package gradio: pip install -e '.[serve]' beside setup.cfg\n"
    )


def test_a_stopwatch_shows_minutes_and_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps.time, "monotonic", iter([100.0, 165.4]).__next__)
    assert steps.stopwatch()() == "1:05"
