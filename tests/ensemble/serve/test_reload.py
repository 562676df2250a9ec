"""A new panel is taken up while requests are answered, and each answer names the panel that it comes from."""

import gc
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from fakes import FakeVoter, image_panel

pytest.importorskip("gradio", reason="the extra 'serve' is not installed")
from fastapi.testclient import TestClient

from ensemble.panel import Panel
from ensemble.serve.access import Access
from ensemble.serve.app import create_app
from mire.errors import PanelError
from mire.labels import builtin_taxonomy
from mire.panel_folder import PanelFolder
from mire.samples import Sample
from mire.votes import Vote

CART, REFUND = "购物车页面", "退款页面"
KEY = "a-key-0123456789"
HEADERS = {"authorization": f"Bearer {KEY}"}
PROMPT = {"prompt": f"Picture 1: 以下是可以参考的分类标签为：{list(builtin_taxonomy('image').labels)}"}
ASKED = {"dialogue": [{"speaker": "user", "text": "这个会生锈吗"}]}


class HeldVoter(FakeVoter):
    """Votes once it is let go."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.started, self.go = threading.Event(), threading.Event()

    def vote(self, samples: Sequence[Sample]) -> list[Vote | None]:
        self.started.set()
        assert self.go.wait(60)
        return super().vote(samples)


def panel_of(voter: FakeVoter, fingerprint: str) -> Panel:
    return replace(image_panel(voter), fingerprint=fingerprint)


@contextmanager
def opened(panel: Panel, **options: Any) -> Iterator[TestClient]:
    app = create_app(panel, page=False, folder=Path("runs/p"), **options)
    with TestClient(app, base_url="http://127.0.0.1", headers=HEADERS) as client:
        yield client


def test_a_request_under_way_is_answered_by_the_panel_that_it_came_to(monkeypatch: pytest.MonkeyPatch) -> None:
    old, loaded = HeldVoter("a", {"0": CART}), []
    new = panel_of(FakeVoter("a", {"0": REFUND}), "new")
    monkeypatch.setattr(Panel, "load", lambda root: loaded.append(root) or new)
    with opened(panel_of(old, "old"), access=Access(keys=(KEY,))) as client, ThreadPoolExecutor(1) as threads:
        before = threads.submit(client.post, "/v1/classify", json=PROMPT)
        assert old.started.wait(60)
        taken = client.post("/admin/reload")
        assert (taken.json()["fingerprint"], taken.headers["x-mire-panel"]) == ("new", "new")
        assert (client.get("/healthz").json()["fingerprint"], client.get("/docs").headers["x-mire-panel"]) == (
            "new",
        ) * 2
        old.go.set()
        answers = [before.result(), client.post("/v1/classify", json=PROMPT)]
        assert client.get("/v1/models").json()["data"][0]["id"] == "nano-new"
        assert 'mire_panel_info{fingerprint="new"} 1.0' in client.get("/metrics").text
        assert client.post("/admin/reload?previous=true").is_success
    found = [(answer.json()["label"], answer.json()["panel"], answer.headers["x-mire-panel"]) for answer in answers]
    assert found == [(CART, "old", "old"), (REFUND, "new", "new")]
    assert loaded == [Path("runs/p"), Path("runs/p/previous")]


def test_what_was_frozen_at_the_start_can_be_freed_after_a_reload(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frozen objects that refer to each other, as a base and its adapters do, are never freed."""
    monkeypatch.setattr(Panel, "load", lambda folder: panel_of(FakeVoter("a", {"0": CART}), "new"))
    with opened(panel_of(FakeVoter("a", {"0": CART}), "old")) as client:
        gc.freeze()
        client.app.state.service.reload()
        assert gc.get_freeze_count() == 0


def test_a_panel_that_cannot_take_over_leaves_the_old_one_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(root: Path) -> Panel:
        raise PanelError(f"{root} is broken")

    with opened(panel_of(FakeVoter("a", {"0": CART}), "old"), access=Access(keys=(KEY,))) as client:
        for load, reason in (
            (broken, "runs/p is broken"),
            (lambda root: replace(client.app.state.service.panel, tasks={}), "runs/p has no image experts, which are"),
        ):
            monkeypatch.setattr(Panel, "load", load)
            refused = client.post("/admin/reload")
            assert (refused.status_code, reason in refused.json()["detail"]) == (422, True), refused.text
        assert client.post("/v1/classify", json=PROMPT).json()["panel"] == "old"
        assert client.post("/admin/reload", headers={"authorization": "Bearer wrong"}).status_code == 401


def test_without_keys_nobody_reloads_over_http() -> None:
    with opened(panel_of(FakeVoter("a", {}), "old")) as client:
        assert client.post("/admin/reload").status_code == 404


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no SIGHUP")
def test_sighup_takes_up_the_folder_and_no_request_is_dropped(tiny_panel: Path, tmp_path: Path) -> None:
    changed, link = tmp_path / "changed", tmp_path / "panel"
    shutil.copytree(tiny_panel, changed)
    weights = PanelFolder(changed).weights("dialogue")
    weights.write_text(weights.read_text() + "\n")
    link.symlink_to(tiny_panel)
    with served(link) as (url, server), httpx.Client(base_url=url, timeout=60) as client:
        answers: list[httpx.Response] = []
        done = threading.Event()
        asking = threading.Thread(target=ask_until, args=(done, url, answers))
        asking.start()
        before = client.get("/healthz").json()["fingerprint"]
        for folder in (changed, tiny_panel):
            (tmp_path / "next").symlink_to(folder)
            (tmp_path / "next").replace(link)
            was, n_answers = client.get("/healthz").json()["fingerprint"], len(answers)
            server.send_signal(signal.SIGHUP)
            wait_until(lambda was=was: client.get("/healthz").json()["fingerprint"] != was)
            wait_until(lambda n_answers=n_answers: len(answers) > n_answers + 1)
        done.set()
        asking.join()
        assert client.get("/healthz").json()["fingerprint"] == before
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["panel"] for answer in answers}) == 2


@contextmanager
def served(panel: Path) -> "Iterator[tuple[str, subprocess.Popen[bytes]]]":
    """The address of a service over a panel, and its process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "ensemble.serve", "--panel", str(panel), "--port", str(port)]
    server = subprocess.Popen(command, env={**os.environ, "MIRE_CACHE": str(panel.parent / "cache")})
    try:
        wait_until(lambda: answers(f"http://127.0.0.1:{port}"))
        yield f"http://127.0.0.1:{port}", server
    finally:
        server.terminate()
        server.wait(60)


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz").is_success
    except httpx.TransportError:
        return False


def ask_until(done: threading.Event, url: str, answers: list[httpx.Response]) -> None:
    with httpx.Client(base_url=url, timeout=60) as client:
        while not done.is_set():
            answers.append(client.post("/v1/classify", json=ASKED))


def wait_until(holds: Any) -> None:
    deadline = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)
