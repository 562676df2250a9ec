"""Refuses a request's body that is too large, before more of it is held, comes too slowly, or has too many files."""

import asyncio
import re

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ensemble.serve.limits import FairShares, Limits, RefusedError, client_of
from ensemble.serve.scratch import KEEP_SECONDS

_UPLOAD = "/gradio_api/upload"
"""Where the page sends files to; they go to disk, not to memory."""
_UPLOAD_BYTES = 2 * 2**20
"""What an upload counts for at least: its files may be small and very many."""

_MARK = b"\r\n--"
_UTF8 = re.compile(rb';\s*charset="?utf-?8"?\s*(?=;|$)')


class BodyLimit:
    """ASGI middleware: 413 for bodies that are too large, whether or not they announce their length, 408 for slow ones.

    All bodies that are being answered share ``memory``: further ones get 429 until there is room. Uploads go to disk:
    those of the last hour share ``disk``.
    """

    def __init__(self, app: ASGIApp, *, limits: Limits, memory: FairShares, disk: FairShares) -> None:
        self._app, self._limits, self._memory, self._disk = app, limits, memory, disk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        to_disk = scope["path"] == _UPLOAD
        body = _Body(
            receive,
            self._limits,
            client=client_of(scope),
            shares=self._disk if to_disk else self._memory,
            max_bytes=self._limits.max_upload_bytes if to_disk else self._limits.max_request_bytes,
            max_files=self._limits.max_files if to_disk else None,
        )
        answering = False

        async def watched(message: Message) -> None:
            nonlocal answering
            if body.refusal and not answering:  # whatever the application makes of it: Gradio 500
                return
            answering = True
            await send(message)

        try:
            _check_head(scope)
            announced = dict(scope["headers"]).get(b"content-length", b"0")
            body.check(int(announced) if announced.isdigit() else 0)
            body.take(_UPLOAD_BYTES if to_disk else 0)
            await self._app(scope, body.receive, watched)
            if body.refusal and not answering:
                raise body.refusal
        except Exception as error:
            refusal = body.refusal or error
            if answering or not isinstance(refusal, RefusedError):
                raise
            headers = {429: {"Retry-After": "1"}, 400: {"Connection": "close"}}.get(refusal.status)
            answer = JSONResponse({"detail": refusal.reason}, status_code=refusal.status, headers=headers)
            await answer(scope, receive, send)
        finally:
            if to_disk:
                asyncio.get_running_loop().call_later(KEEP_SECONDS, body.give_back)
            else:
                body.give_back()


def _check_head(scope: Scope) -> None:
    """Refuse two lengths of one body (400), of which a proxy may have believed the other one; and forms not in UTF-8.

    Some of Python's encodings take the square of a field's length (415).
    """
    if {b"content-length", b"transfer-encoding"} <= {name for name, _ in scope["headers"]}:
        raise RefusedError(400, "a body has either content-length or transfer-encoding")
    kind = b" ".join(value.lower() for name, value in scope["headers"] if name == b"content-type")
    if b"multipart" in kind and b"charset" in _UTF8.sub(b"", kind):
        raise RefusedError(415, "a form must be UTF-8")


class _Body:
    """A request's body as it arrives, and what it has taken of its client's shares."""

    def __init__(
        self,
        receive: Receive,
        limits: Limits,
        *,
        client: str,
        shares: FairShares,
        max_bytes: int,
        max_files: int | None,
    ) -> None:
        self.refusal: RefusedError | None = None
        self._receive, self._limits, self._client, self._shares = receive, limits, client, shares
        self._max_bytes, self._n_bytes, self._n_taken = max_bytes, 0, 0
        self._max_files, self._n_files, self._tail = max_files, 0, b""
        self._complete, self._started = False, asyncio.get_running_loop().time()

    async def receive(self) -> Message:
        """The next message.

        Raises:
            RefusedError: the body is too large (413), too slow (408) or cut off (499), holds too many files (422), or
                too much is under way (429); it is kept as ``refusal``.
        """
        try:
            return await self._next()
        except RefusedError as error:
            self.refusal = error
            raise

    async def _next(self) -> Message:
        message = await (self._receive() if self._complete else self._in_time())
        if message["type"] == "http.disconnect" and not self._complete:
            raise RefusedError(499, "the client has left")
        self._complete = not message.get("more_body", False)
        self._n_bytes += (n_new := len(message.get("body", b"")))
        self.check(self._n_bytes)
        self.take(n_new)
        self._count_files(message.get("body", b""))
        return message

    def check(self, n_bytes: int) -> None:
        if n_bytes > self._max_bytes:
            raise RefusedError(413, f"a request may have {self._max_bytes} bytes")

    def _count_files(self, piece: bytes) -> None:
        """Count an upload's files by the marks between parts: each one costs time of the event loop's thread."""
        if self._max_files is not None:
            self._n_files += (self._tail + piece).count(_MARK)
            self._tail = (self._tail + piece)[1 - len(_MARK) :]  # a mark may come in two pieces
            if self._n_files > self._max_files:
                raise RefusedError(422, f"an upload may hold {self._max_files} files")

    def take(self, n_bytes: int) -> None:
        if not self._shares.take(self._client, n_bytes):
            raise RefusedError(429, "busy: too much is being sent, or was uploaded in the last hour; try again later")
        self._n_taken += n_bytes

    def give_back(self) -> None:
        self._shares.give_back(self._client, self._n_taken)

    async def _in_time(self) -> Message:
        due = self._started + self._limits.body_seconds + self._n_bytes / self._limits.min_bytes_per_second
        try:
            async with asyncio.timeout_at(due):
                return await self._receive()
        except TimeoutError as error:
            raise RefusedError(408, f"the body came too slowly: {self._n_bytes} bytes were there in time") from error
