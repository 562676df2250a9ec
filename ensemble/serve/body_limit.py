"""Refuses a request's body before more of it is held than is allowed."""

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ensemble.serve.limits import Limits, RefusedError

_UPLOAD = "/gradio_api/upload"
"""Where the page sends files to; they go to disk, not to memory."""


class BodyLimit:
    """ASGI middleware: 413 for bodies that are too large, whether or not they announce their length."""

    def __init__(self, app: ASGIApp, *, limits: Limits) -> None:
        self._app, self._limits = app, limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limits, n_bytes, answering = self._limits, 0, False
        max_bytes = limits.max_upload_bytes if scope["path"] == _UPLOAD else limits.max_request_bytes
        refusal = RefusedError(413, f"a request may have {max_bytes} bytes")

        async def counted() -> Message:
            nonlocal n_bytes
            message = await receive()
            n_bytes += len(message.get("body", b""))
            if n_bytes > max_bytes:
                raise refusal
            return message

        async def watched(message: Message) -> None:
            nonlocal answering
            answering = True
            await send(message)

        try:
            announced = dict(scope["headers"]).get(b"content-length", b"0")
            if announced.isdigit() and int(announced) > max_bytes:
                raise refusal
            await self._app(scope, counted, watched)
        except RefusedError as error:
            if answering:
                raise
            await JSONResponse({"detail": error.reason}, status_code=error.status)(scope, receive, send)
