"""What becomes of the page's work when its visitor has left."""

import asyncio
import json
import time
from types import SimpleNamespace
from typing import Any

import pytest
from fakes import HeldVoter, image_panel
from records import png

pytest.importorskip("gradio", reason="the extra 'serve' is not installed")
from fastapi.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from ensemble.serve.app import create_app
from ensemble.serve.limits import Limits
from ensemble.serve.page import sessions
from ensemble.serve.page.calls import PageCalls

PATIENCE_SECONDS = 30
URL = "http://127.0.0.1"


def waiting(client: TestClient) -> int:
    lines = client.get("/metrics").text.splitlines()
    return int(float(next(line for line in lines if line.startswith("mire_waiting_samples")).split()[1]))


def until(client: TestClient, n_waiting: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while waiting(client) != n_waiting:
        assert time.monotonic() < deadline, f"{waiting(client)} samples wait"
        time.sleep(0.01)


def picture_function(client: TestClient) -> int:
    config = client.get("/config").json()
    image = next(part["id"] for part in config["components"] if part["type"] == "image")
    return next(int(fn["id"]) for fn in config["dependencies"] if fn["inputs"] == [image])


def test_no_stream_leaves_anything_behind() -> None:
    seen = sessions.Sessions(SimpleNamespace())  # type: ignore[arg-type]
    with seen.reading("a"), seen.reading("a"), seen.reading("b"):
        assert seen._streams == {"a": 2, "b": 1}
    assert not seen._streams.keys()


@pytest.mark.slow
def test_work_of_a_visitor_who_has_left_is_dropped() -> None:
    """The first visitor's call is under way, the second's waits behind it and goes with its visitor."""
    voter = HeldVoter()
    app = create_app(image_panel(voter), Limits(max_batch=1))
    seen = next(one.kwargs["sessions"] for one in app.user_middleware if one.cls is PageCalls)  # type: ignore[comparison-overlap]
    with TestClient(app, base_url=URL) as client:
        (path,) = client.post("/gradio_api/upload", files={"files": ("a.png", png())}).json()
        data = [{"path": path, "meta": {"_type": "gradio.FileData"}}]
        call = {"fn_index": picture_function(client), "data": data}
        assert client.post("/gradio_api/queue/join", json={**call, "session_hash": "one"}).status_code == 200
        assert voter.started.wait(PATIENCE_SECONDS)
        assert client.post("/gradio_api/queue/join", json={**call, "session_hash": "two"}).status_code == 200
        until(client, 1)
        assert client.portal is not None
        client.portal.call(seen.left, "two")
        until(client, 0)
        held = next(route.app.state_holder for route in app.routes if hasattr(getattr(route, "app", 0), "state_holder"))
        n_parts = [len(session.config_values) for session in held.session_data.values()]
        assert len(n_parts) == 2 and max(n_parts) <= len(call["data"]), n_parts
        voter.go.set()
    assert voter.runs == 1


class Recording(sessions.Sessions):
    """Notes the sessions that are dropped."""

    def __init__(self) -> None:
        super().__init__(None)  # type: ignore[arg-type]
        self.dropped: list[str] = []
        self.done = asyncio.Event()

    async def _forget(self, session: str) -> None:
        self.dropped.append(session)
        self.done.set()


async def nothing(*_: Any) -> Message:
    return {"type": "http.disconnect"}


async def ends(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"data", "more_body": False})


async def breaks_off(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"data", "more_body": True})


@pytest.mark.parametrize(("gradio", "expected"), [(ends, []), (breaks_off, ["abc"])])
def test_a_stream_that_is_closed_early_ends_its_sessions_work(gradio: Any, expected: list[str]) -> None:
    async def run() -> list[str]:
        seen = Recording()
        calls = PageCalls(gradio, limits=Limits(), sessions=seen, functions={})
        scope = {"type": "http", "method": "GET", "path": "/gradio_api/queue/data", "query_string": b"session_hash=abc"}
        await calls(scope, nothing, nothing)
        await asyncio.sleep(0)
        return seen.dropped

    assert asyncio.run(run()) == expected


def test_a_call_whose_stream_is_never_opened_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "PATIENCE_SECONDS", 0.01)

    async def run() -> list[str]:
        seen = Recording()
        with seen.reading("reads"):
            seen.asked("reads")
            seen.asked("never reads")
            await asyncio.wait_for(seen.done.wait(), PATIENCE_SECONDS)
        return seen.dropped

    assert asyncio.run(run()) == ["never reads"]


@pytest.mark.parametrize("session", [None, "", "x" * 65, ["a"]])
def test_a_call_without_a_session_is_refused(session: Any) -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {
            "type": "http.request",
            "body": json.dumps({"fn_index": 0, "data": [], "session_hash": session}).encode(),
        }

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/gradio_api/queue/join"}
    calls = PageCalls(ends, limits=Limits(), sessions=Recording(), functions={0: SimpleNamespace(inputs=())})
    asyncio.run(calls(scope, receive, send))
    assert sent[0]["status"] == 422
    assert json.loads(sent[1]["body"]) == {"detail": "a call must name its session"}
