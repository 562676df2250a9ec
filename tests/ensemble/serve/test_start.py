"""What the service has ready when it begins to listen."""

import os
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("gradio", reason="the extra 'serve' is not installed")

from ensemble.panel import Panel
from ensemble.serve import __main__ as serve
from ensemble.serve import scratch
from mire.cli import run
from mire.process_pool import ProcessPool


@pytest.mark.parametrize(
    ("tasks", "expected"), [(("image", "dialogue"), ["workers", "listening"]), (("dialogue",), ["listening"])]
)
def test_the_workers_that_read_screens_run_before_the_first_request(
    monkeypatch: pytest.MonkeyPatch, tasks: tuple[str, ...], expected: list[str]
) -> None:
    done: list[str] = []
    panel: Any = SimpleNamespace(tasks=dict.fromkeys(tasks))
    monkeypatch.setattr(Panel, "load", lambda root: panel)
    app = SimpleNamespace(state=SimpleNamespace(service=None))
    monkeypatch.setattr("ensemble.serve.app.create_app", lambda *_, **__: app)
    monkeypatch.setattr("ensemble.serve.listening.reload_on_hangup", lambda service: None)
    monkeypatch.setattr("ensemble.serve.listening.listen", lambda *_, **__: done.append("listening"))
    monkeypatch.setattr(ProcessPool, "start", lambda self: done.append("workers"))
    assert run(serve, ["--panel", "p", "--port", "0"]) == 0
    assert done == expected


def test_the_page_is_made_before_files_are_swept(monkeypatch: pytest.MonkeyPatch) -> None:
    """So its examples are no visitor's files, which go after an hour: they are as old as the samples."""
    panel: Any = SimpleNamespace(tasks={})
    app = SimpleNamespace(state=SimpleNamespace(service=None))
    left: list[bool] = []

    def create_app(*_: object, **__: object) -> Any:
        example = Path(os.environ["GRADIO_TEMP_DIR"], "example.png")
        example.parent.mkdir()
        example.touch()
        os.utime(example, (0, 0))
        return app

    def listen(*_: object, **__: object) -> None:
        assert swept_once.wait(30)
        left.append(Path(os.environ["GRADIO_TEMP_DIR"], "example.png").exists())

    def sweep(folder: Path, kept: frozenset[Path], *, now: float) -> None:
        sweep_files(folder, kept, now=now)
        swept_once.set()

    swept_once, sweep_files = threading.Event(), scratch.sweep
    monkeypatch.setattr(scratch, "sweep", sweep)
    monkeypatch.setattr(scratch, "_EVERY_SECONDS", 0.01)
    monkeypatch.setattr(Panel, "load", lambda root: panel)
    monkeypatch.setattr("ensemble.serve.app.create_app", create_app)
    monkeypatch.setattr("ensemble.serve.listening.reload_on_hangup", lambda service: None)
    monkeypatch.setattr("ensemble.serve.listening.listen", listen)
    assert run(serve, ["--panel", "p", "--port", "0"]) == 0
    assert left == [True]
