"""Sixty clients that mean no good, of several kinds, each with its own address: ``python hostile.py PORT SECONDS``.

Prints how often each kind was answered with which status, as JSON.
"""

import asyncio
import base64
import io
import json
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable

from PIL import Image

N_CLIENTS = 60
HEAD = "POST {} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-type: {}\r\ncontent-length: {}\r\n\r\n"
PART = b'--x\r\ncontent-disposition: form-data; name="files"; filename="a.png"\r\n\r\n'


def png(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGBA", (width, height)).save(buffer, "PNG")
    return buffer.getvalue()


class Hostile:
    """One client; every method is one attack, and returns the status that it was answered with."""

    def __init__(self, port: int, address: str) -> None:
        self._port, self._address = port, address

    async def big_json(self) -> str:
        body = b'{"dialogue":[' + b"{}," * 350_000 + b"{}]}"
        return await self._asked("/v1/classify", body)

    async def big_pictures(self) -> str:
        body = b'{"images":["' + b"A" * (30 * 2**20) + b'"]}'
        return await self._asked("/v1/classify", body)

    async def long_text(self) -> str:
        return await self._asked("/v1/classify", json.dumps({"prompt": "*" * 19_000}).encode())

    async def slow_body(self) -> str:
        reader, writer = await self._opened()
        writer.write(head("/v1/classify", 10 * 2**20))
        for _ in range(60):
            writer.write(b" ")
            await asyncio.sleep(1)
            if reader.at_eof() or writer.is_closing():
                break
        return await _status(reader, writer)

    async def idle(self) -> str:
        opened = [await self._opened() for _ in range(10)]
        for _, writer in opened:
            writer.write(b"GET / HTTP/1.1\r\nhost: 127")
        await asyncio.sleep(20)
        return (await asyncio.gather(*(_status(*one) for one in opened)))[0]

    async def abandoned(self) -> str:
        body = json.dumps({"images": [base64.b64encode(SCREEN).decode()]}).encode()
        _, writer = await self._opened()
        writer.write(head("/v1/classify", len(body)) + body)
        await writer.drain()
        await asyncio.sleep(0.2)
        writer.close()
        return "left"

    async def bomb(self) -> str:
        return await self._asked("/v1/classify", json.dumps({"images": [base64.b64encode(BOMB).decode()]}).encode())

    async def page_bomb(self) -> str:
        """Asks the page for a bomb's picture, and reads no answer."""
        body = PART + BOMB + b"\r\n--x--\r\n"
        reader, writer = await self._opened()
        writer.write(head("/gradio_api/upload", len(body), kind="multipart/form-data; boundary=x") + body)
        found = (await reader.read()).partition(b"\r\n\r\n")[2]
        writer.close()
        try:
            (path,) = json.loads(found)
        except ValueError:
            return "no upload"
        call = {
            "fn_index": 0,
            "data": [{"path": path, "meta": {"_type": "gradio.FileData"}}],
            "session_hash": f"s{time.monotonic_ns()}",
        }
        return await self._asked("/gradio_api/queue/join", json.dumps(call).encode())

    async def _opened(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self._port, local_addr=(self._address, 0))

    async def _asked(self, path: str, body: bytes) -> str:
        reader, writer = await self._opened()
        writer.write(head(path, len(body)) + body)
        return await _status(reader, writer)


def head(path: str, n_bytes: int, kind: str = "application/json") -> bytes:
    return HEAD.format(path, kind, n_bytes).encode()


async def _status(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    try:
        line = await reader.readline()
        await reader.read()
    finally:
        writer.close()
    return line[9:12].decode() or "closed"


SCREEN, BOMB = png(1080, 1920), png(6000, 4000)


async def repeat(attack: Callable[[], Awaitable[str]], until: float, found: Counter[str]) -> None:
    while time.monotonic() < until:
        try:
            status = await asyncio.wait_for(attack(), max(until - time.monotonic(), 0.1))
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            status = "closed"
        found[f"{attack.__name__} {status}"] += 1
        await asyncio.sleep(0.05)


async def main(port: int, seconds: float) -> None:
    found: Counter[str] = Counter()
    clients = [Hostile(port, f"127.0.1.{number + 1}") for number in range(N_CLIENTS)]
    kinds = ("big_json", "big_pictures", "long_text", "slow_body", "idle", "abandoned", "bomb", "page_bomb")
    attacks = [getattr(client, kinds[place % len(kinds)]) for place, client in enumerate(clients)]
    until = time.monotonic() + seconds
    await asyncio.gather(*(repeat(attack, until, found) for attack in attacks))
    print(json.dumps(dict(sorted(found.items()))))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))
