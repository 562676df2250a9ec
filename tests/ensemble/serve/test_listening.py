"""Connections that wait too long, or are too many: over a real socket, with an application that answers at once."""

import asyncio
import gc
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

pytest.importorskip("uvicorn", reason="the extra 'serve' is not installed")
import uvicorn

from ensemble.serve.listening import listen, server_of, taken_address
from mire.errors import MireError

PATIENCE_SECONDS = 30
BIG = 8 * 2**20
"""Bytes of an answer that no kernel's buffers hold."""


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        for stage in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{stage}.complete"})
        return
    while scope["path"] == "/read" and (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(8):
        await send({"type": "http.response.body", "body": bytes(BIG // 8), "more_body": scope["path"] == "/big"})
        if scope["path"] != "/big":
            return
    await send({"type": "http.response.body", "body": b""})


@contextmanager
def served(**options: Any) -> Iterator[tuple[uvicorn.Server, int]]:
    """The running server and its port; it ends with the ``with`` block."""
    settings = {"max_connections": 8, "head_seconds": 0.15, "stalled_seconds": 0.15, **options}
    with taken_address("127.0.0.1", 0) as taken:
        server = server_of(application, **settings)
        thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[taken])))
        thread.start()
        taken.listen()
        try:
            yield server, taken.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(PATIENCE_SECONDS)


def test_what_was_loaded_before_is_not_searched_for_garbage_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a panel and the page in memory each search keeps everybody waiting for half a second."""
    frozen: list[int] = []
    monkeypatch.setattr(gc, "collect", lambda: 0)  # which takes as long here
    monkeypatch.setattr(uvicorn.Server, "run", lambda *_, **__: frozen.append(gc.get_freeze_count()))
    before = sys.getswitchinterval()
    with taken_address("127.0.0.1", 0) as taken, suppress(MireError):
        listen(application, taken, max_connections=8)
    sys.setswitchinterval(before)
    gc.unfreeze()
    assert frozen[0] > 1000


def connected(port: int, source: str = "127.0.0.1") -> socket.socket:
    opened = socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS, source_address=(source, 0))
    opened.settimeout(PATIENCE_SECONDS)
    return opened


def rest(opened: socket.socket) -> bytes:
    """Everything until the server closes the connection, however it does."""
    found = b""
    try:
        while more := opened.recv(2**16):
            found += more
    except ConnectionResetError:
        pass
    return found


def test_a_connection_without_a_whole_head_is_closed() -> None:
    with served() as (_, port):
        for sent in (b"", b"GET / HTTP/1.1\r\nhost: a\r\n"):
            with connected(port) as opened:
                opened.sendall(sent)
                assert rest(opened) == b""


@pytest.mark.parametrize(
    ("asked", "later"),
    [
        (b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", b"GET / HTTP/1.1\r\n"),
        (b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 99\r\n\r\nabc", b"d"),
    ],
    ids=["half a head", "more of a body"],
)
def test_what_follows_an_answer_does_not_hold_the_connection(asked: bytes, later: bytes) -> None:
    """After it uvicorn itself waits for ever."""
    with served() as (_, port), connected(port) as opened:
        opened.sendall(asked)
        found = b""
        while not found.endswith(b"\r\n0\r\n\r\n"):
            found += opened.recv(2**16)
        opened.sendall(later)
        assert (found[:12], rest(opened)) == (b"HTTP/1.1 200", b"")


def test_an_answer_that_nobody_reads_is_given_up() -> None:
    with served(head_seconds=30) as (server, port), connected(port) as opened:
        opened.sendall(b"GET /big HTTP/1.1\r\nhost: a\r\n\r\n")
        opened.recv(1)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while server.server_state.connections and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not server.server_state.connections
        assert len(rest(opened)) < BIG


@pytest.mark.parametrize(
    "crumbs",
    [
        b"GET / HTTP/1.1\r\nhost: a\r\n" + b"a:\r\n" * 60_000 + b"\r\n",
        b"GET / HTTP/1.1\nhost: a\n" + b"a:\n" * 80_000 + b"\n",
        b"POST /read HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 40_000,
        b"POST /read HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\ntransfer-encoding: chunked\r\n\r\n"
        + b"2;a\r\nxy\r\n" * 20_000,
        b"GET / HTTP/1.1\r\nhost: a\r\n\r\n" * 9000,
    ],
    ids=["headers", "short line ends", "chunks", "chunks with a length", "requests"],
)
def test_crumbs_that_take_long_to_parse_are_cut_off(crumbs: bytes) -> None:
    """A quarter of a megabyte of each would keep everybody waiting for half a second."""
    with served(head_seconds=30) as (_, port), connected(port) as opened:
        with suppress(OSError):
            opened.sendall(crumbs)
        assert b" 200 " not in rest(opened)


@pytest.mark.parametrize("head", [b"content-length: 50000\r\n\r\n", b"transfer-encoding: chunked\r\n\r\n"])
def test_a_body_of_many_lines_and_one_in_large_chunks_are_read(head: bytes) -> None:
    chunk = b"\n" * 50_000 if b"length" in head else (b"400\r\n" + bytes(1024) + b"\r\n") * 2000 + b"0\r\n\r\n"
    with served(head_seconds=30) as (_, port), connected(port) as opened:
        opened.sendall(b"POST /read HTTP/1.1\r\nhost: a\r\nconnection: close\r\n" + head + chunk)
        assert rest(opened).startswith(b"HTTP/1.1 200")


def test_who_holds_all_connections_keeps_nobody_else_out() -> None:
    with served(head_seconds=30) as (_, port):
        hostile = [connected(port) for _ in range(8)]
        with connected(port) as refused, connected(port, "127.0.0.2") as honest:
            assert rest(refused) == b""
            honest.sendall(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
            assert rest(honest).startswith(b"HTTP/1.1 200")
        for opened in hostile:
            opened.close()
