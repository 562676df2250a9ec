"""Refuses a request's body before more of it is held than is allowed."""

from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ensemble.serve.limits import Limits, RefusedError
from ensemble.serve.scratch import folder_bytes

_UPLOAD = "/gradio_api/upload"
"""Where the page sends files to; they go to disk, not to memory."""


class BodyLimit:
    """ASGI middleware: 413 for bodies that are too large, whether or not they announce their length.

    All bodies that are being answered may together hold ``max_bytes_under_way``: further ones get 429 until there
    is room. Uploads go to disk: their folder has a limit of its own.
    """

    def __init__(self, app: ASGIApp, *, limits: Limits) -> None:
        self._app, self._limits, self._held = app, limits, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limits, n_bytes, answering = self._limits, 0, False
        to_disk = scope["path"] == _UPLOAD
        max_bytes = limits.max_upload_bytes if to_disk else limits.max_request_bytes
        refusal = RefusedError(413, f"a request may have {max_bytes} bytes")

        async def counted() -> Message:
            nonlocal n_bytes
            message = await receive()
            n_bytes += (new := len(message.get("body", b"")))
            self._held += 0 if to_disk else new
            if n_bytes > max_bytes:
                raise refusal
            if self._held > limits.max_bytes_under_way:
                raise RefusedError(429, "busy: too many large requests at a time; try again")
            return message

        async def watched(message: Message) -> None:
            nonlocal answering
            answering = True
            await send(message)

        try:
            announced = dict(scope["headers"]).get(b"content-length", b"0")
            if announced.isdigit() and int(announced) > max_bytes:
                raise refusal
            if to_disk and await run_in_threadpool(_uploaded_bytes) > limits.max_uploaded_bytes:
                raise RefusedError(429, "busy: the uploads of the last hour fill their space; try again later")
            await self._app(scope, counted, watched)
        except RefusedError as error:
            if answering:
                raise
            headers = {"Retry-After": "1"} if error.status == 429 else None
            answer = JSONResponse({"detail": error.reason}, status_code=error.status, headers=headers)
            await answer(scope, receive, send)
        finally:
            self._held -= 0 if to_disk else n_bytes


def _uploaded_bytes() -> int:
    from gradio.utils import get_upload_folder

    return folder_bytes(Path(get_upload_folder()))
