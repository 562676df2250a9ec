"""Small requests that would cost much, and many at a time."""

import asyncio
import json
import tracemalloc
import zipfile
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fakes import FakeVoter, HeldVoter, image_panel

pytest.importorskip("gradio", reason="the extra 'serve' is not installed")
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from ensemble.serve.__main__ import execute
from ensemble.serve.api import read_question, unless_gone
from ensemble.serve.body_limit import BodyLimit
from ensemble.serve.limits import FairShares, Limits, RefusedError
from ensemble.serve.page.handlers import Handlers, _samples
from ensemble.serve.page.render import render_progress
from ensemble.serve.page.words import WORDS
from ensemble.serve.questions import check_lengths
from ensemble.serve.service import Service, _Asked
from mire.cache import cache_root
from mire.errors import DataError, UsageError
from mire.prompts import parse_prompt
from mire.samples import Sample
from mire.votes import Vote


def posted(body: bytes) -> Any:
    async def receive() -> Message:
        return {"type": "http.request", "body": body}

    return Request({"type": "http", "headers": [(b"content-type", b"application/json")]}, receive)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"dialogue":[' + b"{}," * 350_000 + b"{}]}", "may hold 24480 values and marks, got 700004"),
        (b'{"dialogue":[' + b"{}," * 9_000 + b"{}]}", "'dialogue' may have 200 entries, got 9001"),
        (b'{"images":[' + b'"",' * 9_000 + b'""]}', "'images' may have 16 entries, got 9001"),
    ],
)
def test_very_many_small_values_are_refused_before_they_cost(body: bytes, reason: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(RefusedError, match=reason):
            asyncio.run(read_question(posted(body), Limits()))[0]()
        assert tracemalloc.get_traced_memory()[1] < 32 * 2**20
    finally:
        tracemalloc.stop()


def test_a_long_text_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(RefusedError, match="a text may have 20000 characters, got 8388608"):
        check_lengths(["用户: 会" * 2**20 + "a" * (8 * 2**20 - 5 * 2**20)], Limits())


SCOPE: dict[str, Any] = {"type": "http", "path": "/v1/classify", "headers": [], "method": "POST"}


class Requests:
    """An application that holds each request's body until it is let go."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.read = asyncio.Semaphore(0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body"):
            pass
        self.read.release()
        await self.go.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


def limited(inner: Requests, limits: Limits) -> BodyLimit:
    shares = FairShares(limits.max_bytes_under_way)
    return BodyLimit(inner, limits=limits, memory=shares, disk=FairShares(limits.max_uploaded_bytes))


async def status(app: BodyLimit, receive: Receive, client: str = "a", path: str = "/v1/classify", **more: Any) -> int:
    found: list[int] = []

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            found.append(message["status"])

    async with asyncio.timeout(30):
        await app({**SCOPE, "path": path, "client": (client, 1), **more}, receive, send)
    return found[0]


def sends(size: int) -> Receive:
    async def receive() -> Message:
        return {"type": "http.request", "body": bytes(size)}

    return receive


async def statuses(requests: Sequence[tuple[str, int]], limits: Limits) -> list[int]:
    """What requests of clients with so many bytes get while the first one is being answered, then that one again."""
    inner = Requests()
    app = limited(inner, limits)
    (client, size), *others = requests
    first = asyncio.create_task(status(app, sends(size), client))
    await inner.read.acquire()
    during = asyncio.gather(*(status(app, sends(n_bytes), name) for name, n_bytes in others))
    await asyncio.sleep(0)
    inner.go.set()
    return [*(await during), await first, await status(app, sends(size), client)]


def test_bodies_under_way_share_a_budget_and_give_it_back() -> None:
    limits = Limits(max_request_bytes=100, max_bytes_under_way=128)
    requests = [("a", 100), ("a", 60), ("b", 51), ("b", 2), ("b", 1)]
    assert asyncio.run(statuses(requests, limits)) == [429, 429, 200, 200, 200, 200]


def test_a_full_budget_keeps_a_64th_for_each_client() -> None:
    shares = FairShares(640)
    assert shares.take("hostile", 640)
    assert not shares.take("hostile", 1)
    assert [shares.take("honest", 10), shares.take("honest", 1), shares.take("other", 11)] == [True, False, False]
    shares.give_back("honest", 10)
    assert shares.take("honest", 10)
    assert sum(shares.take(f"one of many addresses {number}", 10) for number in range(100)) == 63


@pytest.mark.parametrize(("bytes_per_second", "expected"), [(10, 200), (10**6, 408)])
def test_a_slow_body_is_given_up(bytes_per_second: int, expected: int) -> None:
    """A body has 0.1 s, and more for what has come: 100 bytes at once, and 100 after 0.2 s."""
    pieces = iter([(0.0, True), (0.2, False)])

    async def receive() -> Message:
        seconds, more = next(pieces)
        await asyncio.sleep(seconds)
        return {"type": "http.request", "body": bytes(100), "more_body": more}

    async def run() -> int:
        inner = Requests()
        inner.go.set()
        limits = Limits(body_seconds=0.1, min_bytes_per_second=bytes_per_second)
        return await status(limited(inner, limits), receive)

    assert asyncio.run(run()) == expected


def test_a_body_that_is_cut_off_is_no_error_of_the_server() -> None:
    messages = iter([{"type": "http.request", "body": b"a", "more_body": True}, {"type": "http.disconnect"}])

    async def receive() -> Message:
        return next(messages)

    assert asyncio.run(status(limited(Requests(), Limits()), receive)) == 499


def test_uploads_of_the_last_hour_share_the_disk_and_a_small_one_counts_for_two_mebibytes() -> None:
    async def run() -> list[int]:
        inner = Requests()
        inner.go.set()
        app = limited(inner, Limits(max_uploaded_bytes=5 * 2**20, max_upload_bytes=2**20))
        return [await status(app, sends(size), path="/gradio_api/upload") for size in (1, 1, 1)]

    assert asyncio.run(run()) == [200, 200, 429]


def test_files_of_an_upload_are_counted_though_the_marks_between_them_come_in_two_pieces() -> None:
    pieces = iter([b"--x\r\n", *[b"\r\n", b"--x"] * 4])

    async def receive() -> Message:
        return {"type": "http.request", "body": next(pieces, b""), "more_body": True}

    async def run() -> int:
        inner = Requests()
        inner.go.set()
        return await status(limited(inner, Limits(max_files=3)), receive, path="/gradio_api/upload")

    assert asyncio.run(run()) == 422


def test_a_body_of_two_lengths_is_refused_and_nothing_after_it_is_read() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def run() -> None:
        headers = [(b"content-length", b"4"), (b"transfer-encoding", b"chunked")]
        await limited(Requests(), Limits())({**SCOPE, "headers": headers, "client": ("a", 1)}, sends(1), send)

    asyncio.run(run())
    assert sent[0]["status"] == 400 and (b"connection", b"close") in sent[0]["headers"]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("multipart/form-data; boundary=x", 200),
        ('Multipart/form-data; charset="UTF-8"; boundary=x', 200),
        ("application/json; charset=gbk", 200),
        ("multipart/form-data; boundary=x; charset=punycode", 415),
        ("multipart/form-data; charset=utf-8; boundary=x; charset=undefined", 415),
        ("multipart/form-data; boundary=x; charset*0=puny; charset*1=code", 415),
    ],
)
def test_a_form_in_an_encoding_that_takes_minutes_to_read_is_refused(kind: str, expected: int) -> None:
    async def run() -> int:
        inner = Requests()
        inner.go.set()
        headers = [(b"content-type", kind.encode()), (b"content-type", b"a")]
        return await status(limited(inner, Limits()), sends(1), headers=headers)

    assert asyncio.run(run()) == expected


def service_of(voter: FakeVoter, limits: Limits, **options: Any) -> Service:
    return Service(image_panel(voter), limits, **options)


def test_one_large_picture_is_decoded_at_a_time_and_small_ones_do_not_wait() -> None:
    service = service_of(FakeVoter("a", {}), Limits())
    with service._decoding(24_000_000):
        assert service._decoding(24_000_000).acquire(blocking=False) is False  # type: ignore[attr-defined]
        with service._decoding(1080 * 1920):
            pass
    service.close()


def picture_samples(n: int) -> list[Sample]:
    return [Sample(str(number), parse_prompt("Picture 1: \n你是一个电商领域识图专家")) for number in range(n)]


async def collected(service: Service, samples: Sequence[Sample]) -> dict[str, str]:
    return {name: found.label async for name, found in service.classify_many(samples, "a")}


def test_a_batch_job_waits_for_room_and_loses_nothing() -> None:
    voter = FakeVoter("a", {str(place): "购物车页面" for place in range(9)})
    service = service_of(voter, Limits(max_batch=2, max_waiting=3))

    async def run() -> list[dict[str, str]]:
        return await asyncio.gather(*(collected(service, picture_samples(6)) for _ in range(3)))

    found = asyncio.run(run())
    service.close()
    assert [len(labels) for labels in found] == [6, 6, 6]


def test_many_batch_jobs_of_one_client_hold_the_place_of_one() -> None:
    voter = HeldVoter()
    service = service_of(voter, Limits(max_batch=2, max_waiting=8))

    async def job(client: str) -> None:
        async for _ in service.classify_many(picture_samples(2), client):
            pass

    async def run() -> dict[str, int]:
        jobs = [asyncio.create_task(job("hostile")) for _ in range(5)]
        await asyncio.to_thread(voter.started.wait, 30)
        jobs.append(asyncio.create_task(job("honest")))
        for _ in range(2):
            await service.at_desk(lambda: None, "honest", cost=0)  # by then all jobs have asked for what they may
        held = dict(service._passes._shares._taken)
        voter.go.set()
        await asyncio.gather(*jobs)
        return held

    assert asyncio.run(run()) == {"hostile": 2, "honest": 2}
    service.close()
    assert not service._turns


def test_work_of_a_client_who_has_left_is_dropped() -> None:
    """Five requests wait behind a pass that runs; their clients leave, and another pass is not made."""
    voter = HeldVoter()
    service = service_of(voter, Limits(max_batch=1))
    gone = asyncio.Event()

    async def receive() -> Message:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def one(sample: Sample) -> Any:
        request = Request({"type": "http"}, receive)
        return await unless_gone(request, service._outcome(_Asked.of(sample, service.panel), "a"))  # type: ignore[arg-type]

    async def run() -> list[Any]:
        tasks = [asyncio.create_task(one(sample)) for sample in picture_samples(6)]
        await asyncio.to_thread(voter.started.wait, 30)
        gone.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    outcomes = asyncio.run(run())
    voter.go.set()
    service.close()
    assert {str(outcome) for outcome in outcomes} == {"the client has left"}
    assert voter.runs == 1


def test_nothing_that_was_read_outlives_its_pass_unless_it_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIRE_CACHE", str(tmp_path))
    roots: list[Path] = []

    class Caching(FakeVoter):
        def vote(self, samples: Sequence[Sample]) -> list[Vote | None]:
            roots.append(cache_root())
            return super().vote(samples)

    for keep_cache in (False, True):
        service = service_of(Caching("a", {"0": "购物车页面"}), Limits(max_batch=1), keep_cache=keep_cache)
        assert len(asyncio.run(collected(service, picture_samples(2)))) == 2
        service.close()
    assert roots[0] != roots[1]
    assert not roots[0].exists()
    assert roots[2:] == [tmp_path, tmp_path]


RECORD = {"id": "a", "instruction": "用户: 会生锈吗"}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"PAR1", "the samples must be CSV, XLSX, JSON, or JSON lines"),
        (b"[" + b"{}," * 9 + b"{}]", "a batch may have 3 samples"),
        (b'{"a": "b"}\n' * 4, "a batch may have 3 samples"),
        (b"[" * 60, "a body may hold 50 values and marks, got 60"),
        (json.dumps([{**RECORD, "instruction": "a" * 100}]).encode(), "a text may have 99 characters, got 130"),
    ],
)
def test_a_batch_jobs_samples_are_bounded_before_they_are_parsed(tmp_path: Path, data: bytes, reason: str) -> None:
    (tmp_path / "a.json").write_bytes(data)
    limits = Limits(max_batch_nodes=50, max_batch_samples=3, max_characters=99)
    with pytest.raises(RefusedError, match=reason):
        _samples(tmp_path / "a.json", tmp_path, limits)


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.csv", b"text\n" + b"a\n" * 4, "a batch may have 3 samples"),
        ("a.csv", b"text\n" + b"a" * 100, "a text may have 99 characters"),
        ("a.csv", b"text\n" + b"a" * 60 + b"\n" + b"a" * 60, "a batch's samples may have 150 characters together"),
    ],
)
def test_a_batch_jobs_tables_are_bounded(tmp_path: Path, name: str, data: bytes, reason: str) -> None:
    (tmp_path / name).write_bytes(data)
    limits = Limits(max_batch_samples=3, max_characters=99, max_request_bytes=150)
    with pytest.raises(RefusedError, match=reason):
        _samples(tmp_path / name, tmp_path, limits)


def test_a_batch_jobs_workbook_is_not_unpacked_beyond_a_request(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.xlsx", "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr("xl/workbook.xml", bytes(2**20))
    with pytest.raises(DataError, match="unpacks to 1048576 bytes, at most 99 are read"):
        _samples(tmp_path / "a.xlsx", tmp_path, Limits(max_request_bytes=99))


def test_a_batch_jobs_table_is_read_without_pictures(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text\n会生锈吗\n", encoding="utf-8")
    (sample,) = _samples(tmp_path / "a.csv", tmp_path, Limits())
    assert (sample.id, sample.turns[0].text, sample.problems) == ("row-2", "会生锈吗", ())


def test_a_batch_of_a_table_needs_no_zip_and_gives_a_guarded_csv_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "a.csv").write_text('图片,=A\na.png,"=HYPERLINK(""x"")"\n', encoding="utf-8")
    service = service_of(FakeVoter("a", {}), Limits())
    request: Any = SimpleNamespace(headers={}, client=None)

    async def said() -> list[tuple[str, Any]]:
        return [each async for each in Handlers(service).batch(str(tmp_path / "a.csv"), None, request)]

    *_, (html, csv) = asyncio.run(said())
    service.close()
    assert "<li>1 × picture &#39;a.png&#39; is missing</li>" in html
    exact, guarded = (Path(path).read_text("utf-8-sig") for path in csv["value"])
    assert exact.startswith('id,图片,=A,predict\nrow-2,a.png,"=HYPERLINK(""x"")",')
    assert guarded.startswith('id,图片,\'=A,predict\nrow-2,a.png,"\'=HYPERLINK(""x"")",')


def test_files_of_one_clients_batch_jobs_are_not_read_before_anothers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    service = service_of(FakeVoter("a", {}), Limits())
    handlers = Handlers(service)

    def reads(data: Path, *_: object) -> list[Sample]:
        read.append(data.name)
        return picture_samples(1)

    async def job(client: str, place: int) -> None:
        data = tmp_path / f"{client} {place}"
        data.touch()
        request: Any = SimpleNamespace(headers={}, client=SimpleNamespace(host=client))
        async for _ in handlers.batch(str(data), None, request):
            pass

    async def run() -> None:
        async with asyncio.timeout(30), handlers._reading:
            jobs = [asyncio.create_task(job("hostile", place)) for place in range(4)]
            jobs.append(asyncio.create_task(job("honest", 0)))
            while len(handlers._reading._waiters or ()) < 2:
                await asyncio.sleep(0.001)
        await asyncio.gather(*jobs)

    monkeypatch.setattr("ensemble.serve.page.handlers._samples", reads)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    asyncio.run(run())
    service.close()
    assert len(read) == 5 and "honest 0" in read[:2]


def test_a_batch_ends_with_the_reasons_of_degraded_answers() -> None:
    said = render_progress(3, 3, 2, WORDS["zh"], [("neither a picture nor any <dialogue> text", 2)])
    assert "<li>2 × neither a picture nor any &lt;dialogue&gt; text</li>" in said
    assert "<ul>" not in render_progress(3, 3, 0, WORDS["zh"])


def test_a_batch_jobs_samples_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("\ufeff" + json.dumps([RECORD]), encoding="utf-8")
    assert [sample.id for sample in _samples(tmp_path / "a.json", tmp_path, Limits())] == ["a"]


def test_more_samples_per_pass_than_may_wait_are_refused() -> None:
    class Options:
        max_batch, shadow_share, limit = 65, 0.1, ()

    with pytest.raises(UsageError, match="--max-batch must be from 1 to 64, which may wait at most, got 65"):
        execute(Options())  # type: ignore[arg-type]
