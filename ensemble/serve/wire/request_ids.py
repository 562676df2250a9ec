"""Request ids and the panel's fingerprint in every answer, and a log line without content for programs' requests."""

import logging
import re
import time
from collections.abc import Callable
from contextvars import ContextVar
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mire.errors import shortened

logger = logging.getLogger(__name__)

REQUEST_ID, PANEL = "x-request-id", "x-mire-panel"
request_id_now: ContextVar[str] = ContextVar("request_id", default="-")
"""The id of the request that is being answered."""
_LOGGED = ("/v1/", "/admin/")
_PLAIN = re.compile(r"[A-Za-z0-9._:-]{1,100}")
"""What a client may choose as its request's id; any other gets one of ours."""


class RequestIds:
    """ASGI middleware around everything else, so that refusals have an id too.

    ``fingerprint`` gives that of the panel which is served; an answer that another one has given says so itself.
    """

    def __init__(self, app: ASGIApp, *, fingerprint: Callable[[], str]) -> None:
        self._app, self._fingerprint = app, fingerprint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sent = Headers(scope=scope).get(REQUEST_ID, "")
        request_id = sent if _PLAIN.fullmatch(sent) else uuid4().hex
        request_id_now.set(request_id)
        started, status, panel = time.monotonic(), 0, self._fingerprint()

        async def named(message: Message) -> None:
            nonlocal status, panel
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID], panel = request_id, headers.setdefault(PANEL, panel)
            await send(message)

        try:
            await self._app(scope, receive, named)
        finally:
            if scope["path"].startswith(_LOGGED):
                asked = shortened(f"{scope['method']} {scope['path']}")
                seconds = time.monotonic() - started
                logger.info(f"{request_id} {asked} {status} {1000 * seconds:.0f} ms, panel {panel}")
