"""What the service has ready when it begins to listen."""

from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("gradio", reason="the extra 'serve' is not installed")

from ensemble.panel import Panel
from ensemble.serve import __main__ as serve
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
