"""Refuses other names of the server, other sites' pages and requests without a key; guards the page with headers."""

import base64
import binascii
import hashlib
import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ensemble.serve.access import Access
from ensemble.serve.limits import RefusedError

_OPEN = "/healthz"
"""Answered without a key: a load balancer has none, and the answer tells nothing about requests."""
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-eval'{scripts}; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; media-src 'self' blob:; "
    "worker-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
"""Gradio's HTML component fills its template with JavaScript's ``eval``; inline scripts are named by their digests."""
_INLINE_SCRIPT = re.compile(rb"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.DOTALL)
_NETLOC = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:@/\s]+))(?::\d*)?")
_GUARDS = {
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}


class Gate:
    """ASGI middleware: refuses requests of other names, other pages and without a key; adds the guarding headers."""

    def __init__(self, app: ASGIApp, *, access: Access) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        guarded = _Guarded(send, scope.get("path", ""))
        try:
            if scope["type"] != "http":
                raise RefusedError(403, "only HTTP is answered")
            self._check(Headers(scope=scope), scope["path"])
        except RefusedError as error:
            headers = {"WWW-Authenticate": 'Basic realm="MIRE", charset="UTF-8"'} if error.status == 401 else None
            if scope["type"] == "http":
                refusal = JSONResponse({"detail": error.reason}, status_code=error.status, headers=headers)
                await refusal(scope, receive, guarded)
            else:
                await send({"type": "websocket.close", "code": 1008})
            return
        if guarded.is_page:  # its inline scripts are read for the policy, so nothing may pack it
            scope["headers"] = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
        await self._app(scope, receive, guarded)

    def _check(self, headers: Headers, path: str) -> None:
        host = headers.get("host", "")
        if not self._access.trusts(_name(host)):
            raise RefusedError(403, "this name of the server is not trusted; start it with --allow-host NAME")
        origin = headers.get("origin")
        if origin is not None and not self._own(origin, host):
            raise RefusedError(403, "requests of other sites' pages are refused")
        if self._access.keys and path != _OPEN and not self._access.knows(_key(headers.get("authorization", ""))):
            raise RefusedError(401, "a key is needed: send 'Authorization: Bearer KEY', or the key as the password")

    def _own(self, origin: str, host: str) -> bool:
        netloc = origin.partition("://")[2]
        return netloc == host or _name(netloc) in self._access.named


class _Guarded:
    """Sends an answer with the headers that guard it; the page itself is held until its scripts are known."""

    def __init__(self, send: Send, path: str) -> None:
        self._send = send
        self.is_page = path == "/"
        self._start: Message | None = None
        self._body = bytearray()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _GUARDS.items():
                headers[name] = value
            if not self.is_page:
                headers["content-security-policy"] = _POLICY.format(scripts="")
            if self.is_page:
                self._start = message
                return
        elif self._start is not None:
            self._body += message.get("body", b"")
            if message.get("more_body"):
                return
            MutableHeaders(scope=self._start)["content-security-policy"] = page_policy(bytes(self._body))
            await self._send(self._start)
            message, self._start = {**message, "body": bytes(self._body)}, None
        await self._send(message)


def page_policy(page: bytes) -> str:
    """The content security policy under which a page's own inline scripts run and no other ones do."""
    digests = (base64.b64encode(hashlib.sha256(script).digest()).decode() for script in _INLINE_SCRIPT.findall(page))
    return _POLICY.format(scripts="".join(f" 'sha256-{digest}'" for digest in digests))


def _key(authorization: str) -> str:
    """The key in a header: a bearer's, or the password that a browser has asked for."""
    kind, _, sent = authorization.strip().partition(" ")
    if kind.lower() != "basic":
        return sent.strip() if kind.lower() == "bearer" else ""
    try:
        return base64.b64decode(sent.strip(), validate=True).decode().partition(":")[2]
    except (binascii.Error, ValueError):
        return ""


def _name(netloc: str) -> str:
    """The name in ``name:port`` or ``[address]:port``, in lower case; empty where it is neither."""
    found = _NETLOC.fullmatch(netloc)
    return (found[1] or found[2]).lower() if found else ""
