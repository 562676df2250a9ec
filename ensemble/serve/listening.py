"""The address that the service listens on, taken before a panel is loaded, and listened on until the process ends."""

import asyncio
import ctypes
import gc
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from ensemble.serve.limits import FairShares, client_of
from ensemble.serve.service import Service
from mire.errors import MireError, UsageError

logger = logging.getLogger(__name__)

MAX_PORT = 65535
_HEAD_SECONDS = 15.0
"""For a whole request head to arrive, since the connection was made or the answer before it was given."""
_STALLED_SECONDS = 60.0
"""For a client that reads nothing of an answer."""
_STEP_BYTES = 16 * 2**10
"""What is parsed at once of what a client sent; a head may take twice as much."""
_BODY_STEP_BYTES = 4 * _STEP_BYTES
"""The same of a body in one piece, of which each step takes as long, however large it is."""
_MAX_LINES, _BYTES_PER_LINE = 2000, 256
"""Of a head, and of a body in chunks, each of which takes as long to parse as kilobytes of plain body."""
_SWITCH_SECONDS = 0.001
"""After this time the thread that answers connections gets its turn beside those that read pictures and texts."""
_MMAP_THRESHOLD, _MMAP_BYTES = -3, 8 * 2**20
"""glibc's option, and the blocks from which on memory goes back to the system as soon as it is free."""


@contextmanager
def taken_address(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that is bound to the address and does not listen yet; port 0 takes any free port.

    Raises:
        UsageError: no port has this number.
        MireError: the address is in use, not this machine's, or not allowed to this user.
    """
    if not 0 <= port <= MAX_PORT:
        raise UsageError(f"--port must be from 0 to {MAX_PORT}, got {port}")
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as taken:
        if os.name == "posix":  # the port of a service that has just ended; Windows would share one that still listens
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind((host, port))
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise MireError(
                f"cannot listen on {host}, port {port}: {reason}; choose another --port or --host"
            ) from error
        yield taken


def reload_on_hangup(service: Service) -> None:
    """Take up the panel in the service's folder anew at each SIGHUP, where the system has that signal."""

    def reload() -> None:
        try:
            service.reload()
        except (MireError, OSError, MemoryError) as error:
            logger.error(f"no other panel was taken up, the old one goes on: {error}")

    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, lambda *_: threading.Thread(target=reload, daemon=True).start())


def listen(app: Any, taken: socket.socket, *, max_connections: int) -> None:
    """Answer until the process is stopped.

    Raises:
        MireError: the application did not start; uvicorn has logged why.
    """
    server = server_of(app, max_connections=max_connections)
    sys.setswitchinterval(_SWITCH_SECONDS)
    _give_back_large_blocks()
    gc.collect()
    gc.freeze()  # the panel and the page stay: searching them for garbage would delay every request
    with suppress(KeyboardInterrupt):
        server.run(sockets=[taken])
    if not server.started:
        raise MireError("the service did not start; the lines above say why")


def _give_back_large_blocks() -> None:
    """Have glibc return large blocks to the system; else each thread keeps hundreds of megabytes."""
    with suppress(AttributeError, OSError, TypeError):  # another library of C has no such option, or no name
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, _MMAP_BYTES)


def server_of(
    app: Any,
    *,
    max_connections: int,
    head_seconds: float = _HEAD_SECONDS,
    stalled_seconds: float = _STALLED_SECONDS,
) -> uvicorn.Server:
    """uvicorn, with bounds on connections."""
    shares = FairShares(max_connections)
    protocol: Any = partial(BoundedProtocol, shares=shares, head_seconds=head_seconds, stalled_seconds=stalled_seconds)
    # Twice: a client above its share is refused by itself before this refuses everybody.
    config = uvicorn.Config(
        app,
        log_level="error",
        ws="none",
        http=protocol,
        limit_concurrency=2 * max_connections,
        h11_max_incomplete_event_size=_STEP_BYTES,
    )
    return uvicorn.Server(config)


class BoundedProtocol(H11Protocol):
    """uvicorn's protocol with a bound on connections per client, on slow request heads and on slow readers.

    uvicorn itself bounds only the time that a connection is idle after an answer, and the bytes of a head that comes in
    several pieces. Here a head in one piece is bounded too, and a client that sends very many lines is cut off.
    """

    def __init__(self, *args: Any, shares: FairShares, head_seconds: float, stalled_seconds: float, **named: Any):
        super().__init__(*args, **named)
        self._shares, self._head_seconds, self._stalled_seconds = shares, head_seconds, stalled_seconds
        self._taken = False
        self._counted, self._n_lines, self._n_bytes = self.cycle, 0, 0
        self._stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._taken = self._shares.take(self._address, 1)
        if not self._taken:
            transport.abort()
        self.loop.call_later(self._head_seconds, self._close_after, self.cycle)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._taken:
            self._shares.give_back(self._address, 1)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        offset = 0
        while offset < len(data):
            part = data[offset : offset + (_BODY_STEP_BYTES if self._in_plain_body else _STEP_BYTES)]
            offset += len(part)
            if self._has_too_many_lines(part):
                self.transport.abort()
            if self.transport.is_closing():
                return
            super().data_received(part)

    @property
    def _in_plain_body(self) -> bool:
        """Whether a body arrives that comes in one piece."""
        return self.conn.their_state is h11.SEND_BODY and b"transfer-encoding" not in dict(self.headers)

    def _has_too_many_lines(self, part: bytes) -> bool:
        """Whether a request has too many lines; a body in one piece is not counted."""
        if self.cycle is not self._counted:
            self._counted, self._n_lines, self._n_bytes = self.cycle, 0, 0
        if self._in_plain_body:
            return False
        self._n_lines += part.count(b"\r\n")
        self._n_bytes += len(part)
        return self._n_lines > _MAX_LINES + self._n_bytes // _BYTES_PER_LINE

    def on_response_complete(self) -> None:
        self.loop.call_later(self._head_seconds, self._close_after, self.cycle)
        super().on_response_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self.loop.call_later(self._stalled_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stalled:
            self._stalled.cancel()

    @property
    def _address(self) -> str:
        return client_of({"client": self.client})

    def _close_after(self, answered: RequestResponseCycle | None) -> None:
        """Close a connection on which no other request's head has come since."""
        if self.cycle is answered:
            self.transport.close()
            self.loop.call_later(self._stalled_seconds, self.transport.abort)
