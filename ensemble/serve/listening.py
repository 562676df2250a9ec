"""The address that the service listens on, taken before a panel is loaded, and listened on until the process ends."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import uvicorn

from mire.errors import MireError, UsageError

MAX_PORT = 65535


@contextmanager
def taken_address(host: str, port: int) -> Iterator[socket.socket]:
    """A socket bound to the address, on which nobody is answered yet; port 0 takes any free one.

    Raises:
        UsageError: no port has this number.
        MireError: the address is in use, not this machine's, or not allowed to this user.
    """
    if not 0 <= port <= MAX_PORT:
        raise UsageError(f"--port must be from 0 to {MAX_PORT}, got {port}")
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as taken:
        # The port of a service that has just ended can be taken again at once.
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind((host, port))
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise MireError(
                f"cannot listen on {host}, port {port}: {reason}; choose another --port or --host"
            ) from error
        yield taken


def listen(app: Any, taken: socket.socket, **options: Any) -> None:
    """Answer until the process is stopped; ``options`` are uvicorn's.

    Raises:
        MireError: the application did not start; uvicorn has logged why.
    """
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", **options))
    with suppress(KeyboardInterrupt):
        server.run(sockets=[taken])
    if not server.started:
        raise MireError("the service did not start; the lines above say why")
