"""Small requests that would cost much, and many at a time."""

import asyncio
import tracemalloc
from collections.abc import Sequence
from typing import Any

import pytest
from fakes import FakeVoter, image_panel

pytest.importorskip("gradio", reason="the extra 'serve' is not installed")
from starlette.types import Message, Receive, Scope, Send

from ensemble.serve.__main__ import execute
from ensemble.serve.api import read_question
from ensemble.serve.body_limit import BodyLimit
from ensemble.serve.limits import Limits, RefusedError
from ensemble.serve.questions import check_lengths
from ensemble.serve.service import Service
from mire.errors import UsageError
from mire.prompts import parse_prompt
from mire.samples import Sample


def posted(body: bytes) -> Any:
    from fastapi import Request

    async def receive() -> Message:
        return {"type": "http.request", "body": body}

    return Request({"type": "http", "headers": [(b"content-type", b"application/json")]}, receive)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"dialogue":[' + b"{}," * 350_000 + b"{}]}", "may hold 54480 values and marks, got 700004"),
        (b'{"dialogue":[' + b"{}," * 20_000 + b"{}]}", "'dialogue' may have 200 entries, got 20001"),
        (b'{"images":[' + b'"",' * 20_000 + b'""]}', "'images' may have 16 entries, got 20001"),
    ],
)
def test_very_many_small_values_are_refused_before_they_cost(body: bytes, reason: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(RefusedError, match=reason):
            asyncio.run(read_question(posted(body), Limits()))
        assert tracemalloc.get_traced_memory()[1] < 32 * 2**20
    finally:
        tracemalloc.stop()


def test_a_long_text_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(RefusedError, match="a text may have 50000 characters, got 8388608"):
        check_lengths(["用户: 会" * 2**20 + "a" * (8 * 2**20 - 5 * 2**20)], Limits())


class Requests:
    """An application that holds each request's body until it is let go."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.read = asyncio.Semaphore(0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        self.read.release()
        await self.go.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


async def statuses(sizes: Sequence[int], limits: Limits) -> list[int]:
    """What requests of so many bytes get that come while the first of them is being answered, then one more."""
    inner = Requests()
    app = BodyLimit(inner, limits=limits)
    found: list[int] = []

    async def one(size: int) -> None:
        async def receive() -> Message:
            return {"type": "http.request", "body": bytes(size)}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                found.append(message["status"])

        await app({"type": "http", "path": "/v1/classify", "headers": [], "method": "POST"}, receive, send)

    first = asyncio.create_task(one(sizes[0]))
    await inner.read.acquire()
    for size in sizes[1:]:
        await one(size)
    inner.go.set()
    await first
    await one(sizes[0])
    return found


def test_bodies_under_way_share_a_budget_and_give_it_back() -> None:
    limits = Limits(max_request_bytes=100, max_bytes_under_way=150)
    assert asyncio.run(statuses([100, 60, 51], limits)) == [429, 429, 200, 200]


def test_a_batch_job_waits_for_room_and_loses_nothing() -> None:
    voter = FakeVoter("a", {str(place): "购物车页面" for place in range(9)})
    service = Service(image_panel(voter), Limits(max_batch=2, max_waiting=2))
    samples = [Sample(str(number), parse_prompt("Picture 1: \n你是一个电商领域识图专家")) for number in range(40)]
    futures = service._batcher.submit(samples[:2])
    answers = dict(service.classify_many(samples))
    service.close()
    assert len(answers) == 40
    assert all(future.done() for future in futures)


def test_more_samples_per_pass_than_may_wait_are_refused() -> None:
    class Options:
        max_batch = 65

    with pytest.raises(UsageError, match="--max-batch must be from 1 to 64, which may wait at most, got 65"):
        execute(Options())  # type: ignore[arg-type]
