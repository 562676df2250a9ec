"""Lets every browser that prefers Chinese have the Chinese page."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CHINESE = "zh-CN"
"""The one name under which Gradio knows our Chinese; to zh-HK or zh-Hans-CN it would show English."""
_HEAD = b"<head>"
_SCRIPT = (
    "<script>if (/^zh/i.test(navigator.language)) "
    f'Object.defineProperty(navigator, "language", {{get: () => "{CHINESE}"}})</script>'
).encode()


class BrowserLanguage:
    """ASGI middleware: the page's first script gives any Chinese that name.

    Gradio's own ``head`` comes too late: the page's scripts put it there, after they have chosen the language.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (scope["type"], scope.get("method"), scope.get("path")) != ("http", "GET", "/"):
            await self._app(scope, receive, send)
            return
        held: list[Message] = []

        async def hold(message: Message) -> None:
            if message["type"] not in ("http.response.start", "http.response.body"):
                await send(message)
                return
            held.append(message)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                start, *parts = held
                page = b"".join(part.get("body", b"") for part in parts).replace(_HEAD, _HEAD + _SCRIPT, 1)
                MutableHeaders(scope=start)["content-length"] = str(len(page))
                await send(start)
                await send({"type": "http.response.body", "body": page})

        await self._app(scope, receive, hold)
