"""Lets through what the page asks of Gradio and nothing else; a call may name uploaded files only."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import gradio as gr
from gradio.routes import file_upload_statuses
from gradio.utils import get_upload_folder
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ensemble.serve.limits import Limits, RefusedError, check_json
from ensemble.serve.page.sessions import Sessions

_API = "/gradio_api/"
_ASKED = re.compile(
    r"upload|upload_progress|run/predict|queue/join|queue/data|file=.+|heartbeat/[^/]{1,64}|startup-events|cancel|reset/?|info|app_id"
)
"""What the page's scripts ask for; Gradio answers much more (a proxy, recordings, saved runs).

``run/predict`` puts an example into its fields; functions that answer take calls of the queue only.
"""


_MAX_SESSION_CHARACTERS = 64
_MAX_QUERY_BYTES = 256
"""A query names a session or an upload, which Gradio may keep for ever."""


class PageCalls:
    """ASGI middleware in front of the page.

    Gradio itself checks the paths in a call only since ``Blocks.has_launched`` is set (``page.py``), and fetches
    addresses in their place; here both are refused before Gradio sees them.
    """

    def __init__(self, app: ASGIApp, *, limits: Limits, sessions: Sessions, functions: Mapping[int, Any]) -> None:
        self._app, self._limits, self._sessions, self._functions = app, limits, sessions, functions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] != "http" or not path.startswith(_API):
            await self._app(scope, receive, send)
            return
        try:
            asked = path.removeprefix(_API)
            if not _ASKED.fullmatch(asked) or len(scope.get("query_string", b"")) > _MAX_QUERY_BYTES:
                raise RefusedError(404, "the page does not use this; programs use /v1/classify")
            if asked.startswith("file="):
                check_upload(asked.removeprefix("file="))
            if scope["method"] == "POST" and asked != "upload":
                called, body = await self._checked_body(receive)
                receive = _again(body, receive)
                if asked in ("queue/join", "run/predict"):
                    check_call(called, self._functions)
                if asked == "queue/join":
                    self._sessions.asked(_session(called))
        except RefusedError as error:
            await JSONResponse({"detail": error.reason}, status_code=error.status)(scope, receive, send)
            return
        if asked == "queue/data":
            await self._stream(scope, receive, send)
            return
        try:
            await self._app(scope, receive, send)
        finally:
            if asked == "upload_progress":  # Gradio keeps a signal for each name that is asked for
                file_upload_statuses._signals.pop(_queried(scope, "upload_id"), None)

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A session's stream of answers; a visitor who closes it before its end wants none of them."""
        session = _queried(scope, "session_hash")
        ended: bool | None = None

        async def watched(message: Message) -> None:
            nonlocal ended
            ended = message["type"] == "http.response.body" and not message.get("more_body", False)
            await send(message)

        with self._sessions.reading(session):
            try:
                await self._app(scope, receive, watched)
            except RuntimeError:  # Gradio's, once it has told the page that it does not know the session
                if ended is None:
                    raise
                await watched({"type": "http.response.body", "body": b""})
        if not ended:
            self._sessions.left(session)

    async def _checked_body(self, receive: Receive) -> tuple[Any, bytes]:
        """The body of a call, parsed and as it came, once every file in it is known to be an upload."""
        body, limit = bytearray(), self._limits.max_call_bytes
        async for part in _parts(receive):
            body += part
            if len(body) > limit:
                raise RefusedError(413, f"a call of the page may have {limit} bytes")
        check_json(body, self._limits.max_json_nodes)
        try:
            called = json.loads(body or b"null")
        except (ValueError, RecursionError) as error:
            raise RefusedError(400, f"the body is not JSON: {error}") from error
        files = list(_files(called))
        if len(files) > self._limits.max_files:
            raise RefusedError(422, f"a call of the page may name {self._limits.max_files} files, got {len(files)}")
        for file in files:
            check_upload(file)
        return called, bytes(body)


def _queried(scope: Scope, name: str) -> str:
    return str(parse_qs(scope["query_string"].decode("latin-1")).get(name, [""])[0])


def check_call(called: Any, functions: Mapping[int, Any]) -> None:
    """Refuse a call that the page never makes (422): of no function, with too few values, of no example."""
    index, values = (called.get("fn_index"), called.get("data")) if isinstance(called, dict) else (None, None)
    function = functions.get(index) if isinstance(index, int) else None
    fields = function.inputs if function else None
    if fields is None or not isinstance(values, list) or len(values) != len(fields):
        raise RefusedError(422, "the page makes no such call")
    if not all(map(_may_hold, fields, values)):
        raise RefusedError(422, "the page makes no such call")


def _may_hold(field: Any, value: Any) -> bool:
    """Whether it is an example's number, where the field holds examples."""
    return not isinstance(field, gr.Dataset) or (isinstance(value, int) and 0 <= value < len(field.raw_samples))


def _session(called: Any) -> str:
    """The session of a call.

    Raises:
        RefusedError: it names none (422).
    """
    session = called.get("session_hash") if isinstance(called, dict) else None
    if not isinstance(session, str) or not 1 <= len(session) <= _MAX_SESSION_CHARACTERS:
        raise RefusedError(422, "a call must name its session")
    return session


def check_upload(path: Any) -> None:
    """Refuse a path that is no file in the folder of uploads (422): another folder's, an address, a link, a pipe."""
    try:
        inside = isinstance(path, str) and Path(path).resolve().is_relative_to(Path(get_upload_folder()).resolve())
        if inside and Path(path).is_file():
            return
    except (OSError, ValueError, RuntimeError):  # too long, a NUL, a loop of links
        pass
    raise RefusedError(422, "a call may name uploaded files only")


def _files(value: Any) -> Iterator[Any]:
    """Every value of a key ``path`` in nested lists and objects."""
    todo = [value]
    while todo:
        found = todo.pop()
        if isinstance(found, dict):
            if found.get("path") is not None:
                yield found["path"]
            todo += found.values()
        elif isinstance(found, list):
            todo += found


async def _parts(receive: Receive) -> Any:
    while (message := await receive())["type"] == "http.request":
        yield message.get("body", b"")
        if not message.get("more_body"):
            return
    raise RefusedError(400, "the request was cut off")


def _again(body: bytes, receive: Receive) -> Receive:
    """Receive the body that was read, then whatever else comes."""
    kept: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return kept.pop() if kept else await receive()

    return replay
