"""Two panels side by side: the second one's answers are logged and counted, and cost the first one's nothing."""

import logging
import random
import threading
import time
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeVoter, image_panel

pytest.importorskip("gradio", reason="the extra 'serve' is not installed")
from fastapi.testclient import TestClient
from PIL import Image

from ensemble.decisions import shadow
from ensemble.decisions.shadow import MOST_WAITING, Shadow
from ensemble.serve.app import create_app
from ensemble.serve.limits import Limits
from mire.errors import PanelError, UsageError
from mire.labels import builtin_taxonomy
from mire.prompts import parse_prompt
from mire.samples import Sample

CART, REFUND = "购物车页面", "退款页面"
PROMPT = {"prompt": f"Picture 1: 以下是可以参考的分类标签为：{list(builtin_taxonomy('image').labels)}"}


class Pool:
    """A process that answers when it is told to, unless it has died."""

    def __init__(self, fingerprint: str = "second") -> None:
        self.fingerprint, self.dead = fingerprint, False
        self.asked: list[Future[Any]] = []

    def submit(self, function: Any, *_: object) -> "Future[Any]":
        if self.dead:
            raise BrokenProcessPool
        future: Future[Any] = Future()
        if function is shadow._fingerprint:
            future.set_result(self.fingerprint)
        else:
            self.asked.append(future)
        return future

    def shutdown(self, **_: object) -> None:
        pass


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Pool:
    made = Pool()
    monkeypatch.setattr(shadow, "ProcessPoolExecutor", lambda *_, **__: made)
    return made


def client_of(second: Shadow) -> TestClient:
    panel = replace(image_panel(FakeVoter("a", {"0": CART})), fingerprint="first")
    return TestClient(create_app(panel, page=False, shadow=second), base_url="http://127.0.0.1")


def counted(client: TestClient) -> dict[str, float]:
    lines = [line for line in client.get("/metrics").text.splitlines() if line.startswith("mire_shadow_answers_total")]
    return {line.partition('outcome="')[2].partition('"')[0]: float(line.split()[-1]) for line in lines}


def test_both_answers_are_logged_and_only_the_first_is_sent(pool: Pool, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, shadow.__name__)
    with client_of(Shadow(Path("p"), 1.0)) as client:
        for place, told in enumerate([(REFUND, 0.75), (CART, 0.5), ValueError("user words")]):
            answer = client.post("/v1/classify", json=PROMPT, headers={"x-request-id": f"r{place}"})
            assert (answer.json()["label"], answer.json()["panel"]) == (CART, "first")
            if isinstance(told, ValueError):
                pool.asked[place].set_exception(told)
            else:
                pool.asked[place].set_result(told)
        assert counted(client) == {"different": 1, "same": 1, "failed": 1}
    assert [record.getMessage() for record in caplog.records if record.name == shadow.__name__] == [
        f"r0 panel first {CART} 0.8000, shadow second {REFUND} 0.7500",
        f"r1 panel first {CART} 0.8000, shadow second {CART} 0.5000",
        f"r2 panel first {CART} 0.8000, shadow second failed: ValueError",
    ]


def test_a_slow_or_dead_second_panel_costs_no_answer(pool: Pool) -> None:
    with client_of(Shadow(Path("p"), 1.0)) as client:
        for _ in range(MOST_WAITING + 2):
            assert client.post("/v1/classify", json=PROMPT).json()["label"] == CART
        assert len(pool.asked) == MOST_WAITING and counted(client) == {"dropped": 2}
        for future in pool.asked:
            future.cancel()
        assert counted(client) == {"dropped": 2, "failed": MOST_WAITING}
        pool.dead = True
        assert client.post("/v1/classify", json=PROMPT).json()["label"] == CART
        assert counted(client)["failed"] == MOST_WAITING + 1


def test_a_second_panel_that_died_is_started_anew_but_not_within_a_minute(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pools, outcomes, now = [Pool(), Pool("third")], list[str](), 0.0
    left = iter(pools)
    monkeypatch.setattr(shadow, "ProcessPoolExecutor", lambda *_, **__: next(left))
    monkeypatch.setattr(shadow, "monotonic", lambda: now)
    second, sample = Shadow(Path("p"), 1.0), Sample("a", parse_prompt("?"))

    def ask() -> "Future[Any] | None":
        return second.compare(sample, shadow.Told("first", CART, 0.5), "r", outcomes.append)

    pools[0].dead = True
    now = 59.0
    assert ask() is None and second.fingerprint == "second" and not caplog.messages
    now = 60.0
    assert ask() is None and second.fingerprint == "third" and outcomes == ["failed", "failed"]
    assert caplog.messages == ["the process of the second panel, p, has died, and is started anew"]
    assert ask() is not None
    pools[1].asked[0].set_result((CART, 0.9))
    assert outcomes == ["failed", "failed", "same"]


def test_only_a_share_is_compared(pool: Pool) -> None:
    random.seed(0)
    with client_of(Shadow(Path("p"), 0.1)) as client:
        for _ in range(50):
            client.post("/v1/classify", json=PROMPT)
    assert 1 <= len(pool.asked) <= 12


def test_pictures_stay_until_the_second_panel_has_seen_them(pool: Pool, tmp_path: Path) -> None:
    Image.new("RGB", (20, 20)).save(tmp_path / "p.png")
    samples: list[Any] = []
    second, submit = Shadow(Path("p"), 1.0), pool.submit
    pool.submit = lambda function, *given: samples.extend(given) or submit(function, *given)  # type: ignore[func-returns-value, method-assign]
    with client_of(second) as client:
        assert client.post("/v1/classify", files={"images": (tmp_path / "p.png").read_bytes()}).is_success
        (picture,) = samples[0].images
        assert picture.is_file()
        pool.asked[0].set_result((CART, 0.9))
        assert not picture.exists()


def test_limits_by_name() -> None:
    made = Limits().changed(["timeout_seconds=2.5", "max_waiting=256"])
    assert (made.timeout_seconds, made.max_waiting, made.max_batch) == (2.5, 256, 16)
    for setting, reason in (
        ("max_speed=1", "--limit knows max_request_bytes, .*; got 'max_speed'"),
        ("max_waiting=1.5", "--limit max_waiting must be a number above zero, got '1.5'"),
        ("timeout_seconds=inf", "above zero, got 'inf'"), ("max_turns=0", "above zero, got '0'"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=reason):
            Limits().changed([setting])


@pytest.mark.slow
def test_a_second_process_answers_dies_alone_and_is_started_anew(
    tiny_panel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shadow, "_SECONDS_BETWEEN_STARTS", 0.0)
    second, outcomes, heard = Shadow(tiny_panel, 1.0), list[str](), threading.Event()
    try:
        from ensemble.classify import Question
        from ensemble.panel import Panel

        panel = Panel.load(tiny_panel, ["dialogue"])
        sample = panel.sample(Question(dialogue=[("user", "这个会生锈吗")]))
        (own,) = panel.classify_many([sample])
        asked = second.compare(sample, shadow.Told("first", own.label, 0.5), "r", outcomes.append)
        assert asked is not None and asked.result(120) == (own.label, pytest.approx(own.probability))
        (process,) = second._pool._processes.values()
        process.kill()
        process.join()
        deadline = time.monotonic() + 120
        while not ("failed" in outcomes and outcomes.count("same") > 1) and time.monotonic() < deadline:
            second.compare(sample, shadow.Told("first", own.label, 0.5), "r", outcomes.append)
            heard.wait(0.05)
        assert outcomes[0] == "same" and "same" in outcomes[outcomes.index("failed") :]
        with pytest.raises(PanelError):
            Shadow(tmp_path / "none", 1.0)
    finally:
        second.close()
