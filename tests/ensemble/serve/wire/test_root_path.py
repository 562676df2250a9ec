"""The service under a prefix: a gateway may take it off or leave it on; in a browser every click works."""

import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from fakes import FakeVoter, image_panel

pytest.importorskip("gradio", reason="the extra 'serve' is not installed")
from fastapi.testclient import TestClient

from ensemble.panel import Panel, TaskPanel
from ensemble.serve.app import create_app
from ensemble.serve.limits import Limits
from ensemble.serve.listening import server_of
from ensemble.voting.weights import VoterWeight, Weights
from mire.labels import builtin_taxonomy

RUST = "是否会生锈"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def panel() -> Panel:
    found = image_panel(FakeVoter("a", {"0": "购物车页面"}))
    voter = FakeVoter("d", {"0": RUST}, taxonomy=builtin_taxonomy("dialogue"))
    found.tasks["dialogue"] = TaskPanel(voter.taxonomy, (voter,), Weights(voters={"d": VoterWeight()}))
    return found


def test_paths_are_answered_with_the_prefix_and_without() -> None:
    app = create_app(panel(), page=False, root_path="/mire")
    with TestClient(app, base_url="http://127.0.0.1", follow_redirects=False) as client:
        assert [client.get(path).status_code for path in ("/healthz", "/mire/healthz", "/mirehealthz")] == [
            200,
            200,
            404,
        ]
        body = {"dialogue": [{"speaker": "user", "text": "会生锈吗"}]}
        assert client.post("/mire/v1/classify", json=body).json()["label"] == RUST
        assert client.get("/mire/v1/classify").status_code == 405
        assert client.get("/mire").headers["location"] == "/mire/"
        assert client.get("/mire/openapi.json").json()["servers"] == [{"url": "/mire"}]


class Gateway(BaseHTTPRequestHandler):
    """Shows the service under ``/mire``; everything else does not exist."""

    upstream = ""
    takes_off = True

    def handle_one(self) -> None:
        if not self.path.startswith("/mire"):
            self.send_error(404)
            return
        path = self.path.removeprefix("/mire") if self.takes_off else self.path
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
        with httpx.stream(self.command, self.upstream + path, headers=headers, content=body, timeout=60) as answer:
            self.send_response(answer.status_code)
            for name, value in answer.headers.items():
                if name not in ("transfer-encoding", "connection"):
                    self.send_header(name, value)
            self.end_headers()
            for piece in answer.iter_raw():
                self.wfile.write(piece)
                self.wfile.flush()

    do_GET = do_POST = do_HEAD = handle_one  # noqa: N815

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def gateway(upstream: str, *, takes_off: bool) -> Iterator[str]:
    handler = type("OneGateway", (Gateway,), {"upstream": upstream, "takes_off": takes_off})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/mire/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        server = server_of(create_app(panel(), Limits(), root_path="/mire"), max_connections=64)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [taken]})
        thread.start()
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"
        server.should_exit = True
        thread.join()


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM, reason="no chromium on this machine")
@pytest.mark.parametrize("takes_off", [True, False])
def test_the_page_works_behind_a_gateway(upstream: str, takes_off: bool) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with gateway(upstream, takes_off=takes_off) as url, playwright.sync_playwright() as browsers:
        browser = browsers.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(locale="en-US")
        failed: list[str] = []
        page.on("response", lambda answer: failed.append(answer.url) if answer.status >= 400 else None)
        page.goto(url)
        page.get_by_role("tab").nth(1).click()
        page.fill("#dialogue textarea", "用户: 这个会生锈吗")
        page.click("#ask-dialogue")
        page.wait_for_selector("#dialogue-answer .mire-label")
        assert page.inner_text("#dialogue-answer .mire-label") == RUST
        assert not failed
        browser.close()
