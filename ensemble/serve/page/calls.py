"""Lets through what the page asks of Gradio and nothing else; every file that a call names is one of its uploads."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gradio.utils import get_upload_folder
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ensemble.serve.limits import Limits, RefusedError, check_json

_API = "/gradio_api/"
_ASKED = re.compile(
    r"upload|upload_progress|run/predict|queue/join|queue/data|file=.+|heartbeat/[^/]+|startup-events|cancel|reset/?|info|app_id"
)
"""What the page's scripts ask for; Gradio answers much more (a proxy, recordings, saved runs).

``run/predict`` puts an example into its fields; functions that answer take calls of the queue only.
"""


class PageCalls:
    """ASGI middleware in front of the page.

    Gradio itself checks the paths in a call only since ``Blocks.has_launched`` is set (``page.py``), and fetches
    addresses in their place; here both are refused before Gradio sees them.
    """

    def __init__(self, app: ASGIApp, *, limits: Limits) -> None:
        self._app, self._limits = app, limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] != "http" or not path.startswith(_API):
            await self._app(scope, receive, send)
            return
        try:
            asked = path.removeprefix(_API)
            if not _ASKED.fullmatch(asked):
                raise RefusedError(404, "the page does not use this; programs use /v1/classify")
            if asked.startswith("file="):
                check_upload(asked.removeprefix("file="))
            if scope["method"] == "POST" and asked != "upload":
                receive = _again(await self._checked_body(receive), receive)
        except RefusedError as error:
            await JSONResponse({"detail": error.reason}, status_code=error.status)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    async def _checked_body(self, receive: Receive) -> bytes:
        """The body of a call, once every file in it is known to be an upload."""
        body, limit = bytearray(), self._limits.max_call_bytes
        async for part in _parts(receive):
            body += part
            if len(body) > limit:
                raise RefusedError(413, f"a call of the page may have {limit} bytes")
        check_json(body, self._limits)
        try:
            called = json.loads(body or b"null")
        except (ValueError, RecursionError) as error:
            raise RefusedError(400, f"the body is not JSON: {error}") from error
        for file in _files(called):
            check_upload(file)
        return bytes(body)


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
