"""The HTTP interface over a panel whose voter says what it is told."""

import base64
import io
import json
import random
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from fakes import FakeVoter, image_panel
from PIL import Image
from records import png

pytest.importorskip("gradio", reason="the extra 'serve' is not installed")
from fastapi.testclient import TestClient

from ensemble.decisions.threshold_file import TaskThresholds, Threshold
from ensemble.panel import TaskPanel
from ensemble.serve.app import create_app
from ensemble.serve.limits import Limits, RefusedError
from ensemble.serve.questions import QuestionIn, TurnIn, ask, check_format
from ensemble.voting.weights import VoterWeight, Weights
from mire.errors import DataError, JournalError
from mire.labels import Label, Taxonomy
from mire.samples import Sample
from mire.votes import Vote

CART = "购物车页面"
URL = "http://127.0.0.1"
LIMITS = Limits(
    max_request_bytes=200_000,
    max_pictures=3,
    max_pixels=10_000,
    max_pixels_together=15_000,
    max_characters=500,
    max_turns=5,
    max_lines=40,
)


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    # The batcher names samples by their place in the pass.
    panel = image_panel(FakeVoter("a", {"0": CART}), FakeVoter("b", {}))
    with TestClient(create_app(panel, LIMITS, page=False), base_url=URL) as opened:
        yield opened


def refusal(response: Any, status: int) -> str:
    assert response.status_code == status, response.text
    return str(response.json()["detail"])


def test_a_picture_in_json(client: TestClient) -> None:
    answer = client.post("/v1/classify", json={"images": [encoded(png())]}).json()
    assert (answer["label"], answer["gloss"]) == (CART, "Shopping cart")
    assert answer["route"] == {"task": "image", "confidence": 691 / 692, "reason": "official image frame"}
    assert answer["booked"] == {"calls": 2, "max_calls": 3, "output_tokens": 20, "max_output_tokens": 100}
    assert [(voter["voter"], len(voter["top"])) for voter in answer["voters"]] == [("a", 5), ("b", 0)]
    assert answer["problems"] == ["b abstained"]


@pytest.mark.parametrize(("threshold", "decision", "review"), [(0.79, CART, False), (0.81, "", True), (None, "", True)])
def test_an_answer_says_whether_a_person_should_look(
    client: TestClient, threshold: float | None, decision: str, review: bool
) -> None:
    found = TaskThresholds(precision=0.9, confidence=0.95, task=Threshold(threshold=threshold, n=60), labels={})
    panel = image_panel(FakeVoter("a", {"0": CART}))
    panel.tasks["image"] = replace(panel.tasks["image"], thresholds=found)
    with TestClient(create_app(panel, LIMITS, page=False), base_url=URL) as opened:
        answer = opened.post("/v1/classify", json={"images": [encoded(png())]}).json()
    # the voter gives 0.8 to its label and 0.2 / 22 to every other one
    assert (answer["probability"], answer["margin"], answer["second"]) == (0.8, 0.7909, "实物拍摄(含售后)")
    assert (answer["decision"], answer["review"]) == (decision, review)
    plain = client.post("/v1/classify", json={"images": [encoded(png())]}).json()
    assert (plain["decision"], plain["review"]) == (None, None)


def test_a_picture_as_a_file_gives_the_same_answer(client: TestClient) -> None:
    as_json = client.post("/v1/classify", json={"images": [encoded(png())]})
    as_file = client.post("/v1/classify", files={"images": ("../../etc/passwd", png())})
    assert as_file.status_code == 200
    assert as_file.json() == as_json.json()


@pytest.mark.parametrize(("name", "speaker"), [("用户", "user"), ("客服", "agent"), ("user", "user")])
def test_speakers_have_chinese_names_too(name: str, speaker: str) -> None:
    assert TurnIn.model_validate({"speaker": name, "text": "a"}).speaker == speaker


def test_a_data_uri_is_taken(client: TestClient) -> None:
    body = {"images": [f"data:image/png;base64,{encoded(png())}"]}
    assert client.post("/v1/classify", json=body).status_code == 200


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "nothing to classify"),
        ({"images": ["no base64!"]}, "picture 1 is not base64"),
        ({"images": [encoded(b"no picture")]}, "picture 1 cannot be read; send a PNG"),
        ({"images": [encoded(png()[:60])]}, "picture 1 cannot be read"),
        ({"images": [encoded(png(200, 200))]}, "picture 1 has 200x200 pixels, at most 10000 are taken"),
        ({"images": [encoded(png(90, 90))] * 2}, "a request's pictures may have 15000 pixels together"),
        ({"images": [encoded(png())] * 4}, "'images' may have 3 entries, got 4"),
        ({"images": [encoded(png())] * 2}, "nothing to classify"),
        ({"prompt": "什么页面 <image>"}, "every <image> needs its picture, got 1 tags and 0 pictures"),
        ({"prompt": "x" * 501}, "a text may have 500 characters, got 501"),
        ({"prompt": "\n" * 41}, "a text may have 40 lines, got 41"),
        ({"dialogue": [{"speaker": "user", "text": "a"}] * 6}, "'dialogue' may have 5 entries, got 6"),
        ({"prompt": "a", "dialogue": [{"speaker": "user", "text": "b"}]}, "a prompt or a dialogue, not both"),
        ({"dialogue": [{"speaker": "user", "text": "会生锈吗"}]}, "this panel has no dialogue experts"),
        ({"dialogue": [{"speaker": "dog", "text": "b"}]}, "dialogue.0.speaker: Input should be 'user' or 'agent'"),
        ({"image": []}, "image: Extra inputs are not permitted"),
        ([], "body: Input should be"),
    ],
)
def test_refusals_say_why(client: TestClient, body: Any, reason: str) -> None:
    assert reason in refusal(client.post("/v1/classify", json=body), 422)


def test_broken_bodies(client: TestClient) -> None:
    headers = {"content-type": "application/json"}
    assert "not JSON" in refusal(client.post("/v1/classify", content=b"{", headers=headers), 400)
    assert "not JSON" in refusal(client.post("/v1/classify", content=b"[" * 1000, headers=headers), 400)
    deep = client.post("/v1/classify", content=b"[" * 100_000, headers=headers)
    assert "may hold 1652 values and marks, got 100000" in refusal(deep, 422)
    assert "text must be Unicode" in refusal(
        client.post("/v1/classify", content=b'{"prompt": "\\ud800"}', headers=headers), 422
    )
    assert "got 'text/plain'" in refusal(
        client.post("/v1/classify", content=b"", headers={"content-type": "text/plain"}), 415
    )
    form = {"content-type": "multipart/form-data; boundary=x"}
    assert "not a form" in refusal(client.post("/v1/classify", content=b"--y\r\n", headers=form), 400)
    assert "unknown field 'mode'" in refusal(
        client.post("/v1/classify", data={"mode": "1"}, files={"images": ("a", png())}), 422
    )


def test_a_large_body_is_refused_announced_or_not(client: TestClient) -> None:
    headers = {"content-type": "application/json"}
    assert "200000 bytes" in refusal(client.post("/v1/classify", content=b" " * 200_001, headers=headers), 413)
    pieces = (b" " * 1000 for _ in range(300))
    assert "200000 bytes" in refusal(client.post("/v1/classify", content=pieces, headers=headers), 413)


def test_200_malformed_requests_are_refused_and_the_server_lives_on(client: TestClient) -> None:
    rng = random.Random(7)
    good = json.dumps({"images": [encoded(png())]}).encode()
    kinds = ("application/json", "multipart/form-data; boundary=x", "multipart/form-data", "application/json; q=\x7f")
    for _ in range(200):
        cut = bytearray(good[: rng.randrange(len(good) - 1)])
        for _ in range(rng.randrange(5)):
            cut.insert(rng.randrange(len(cut) + 1), rng.randrange(256))
        response = client.post("/v1/classify", content=bytes(cut), headers={"content-type": rng.choice(kinds)})
        assert 400 <= response.status_code < 500, (response.status_code, bytes(cut))
        assert response.json()["detail"]
    assert client.post("/v1/classify", content=good, headers={"content-type": kinds[0]}).status_code == 200


def test_health_and_metrics(client: TestClient) -> None:
    health = client.get("/healthz").json()
    assert (health["status"], health["panel"], health["tasks"]) == ("ok", "nano", ["image"])
    assert health["fingerprint"] == ""  # a panel that was not loaded from a folder
    assert (client.head("/healthz").status_code, client.head("/healthz").content) == (200, b"")
    client.post("/v1/classify", json={"images": [encoded(png())]})
    text = client.get("/metrics").text
    assert 'mire_requests_total{status="200"}' in text
    assert "mire_batch_size_count" in text
    assert 'mire_panel_info{fingerprint=""} 1.0' in text


def test_metrics_count_what_drift_compares() -> None:
    found = TaskThresholds(precision=0.9, confidence=0.95, task=Threshold(threshold=0.9, n=60), labels={})
    panel = image_panel(FakeVoter("a", {"0": CART}), FakeVoter("b", {}))
    panel.tasks["image"] = replace(panel.tasks["image"], thresholds=found)
    with TestClient(create_app(panel, LIMITS, page=False), base_url=URL) as opened:
        for _ in range(2):
            opened.post("/v1/classify", json={"images": [encoded(png())]})
        lines = opened.get("/metrics").text.splitlines()
    # at 0.8 the answer is below the threshold, b has abstained, and the prompt is the official one
    assert f'mire_answers_total{{label="{CART}",task="image"}} 2.0' in lines
    assert 'mire_answer_probability_bucket{le="0.7",task="image"} 0.0' in lines
    assert 'mire_answer_probability_bucket{le="0.9",task="image"} 2.0' in lines
    for mark, count in (("review", 2), ("fallback", 0), ("degraded", 2)):
        assert f'mire_marked_answers_total{{mark="{mark}",task="image"}} {count}.0' in lines


def test_a_panel_that_takes_too_long_is_given_up() -> None:
    given_up = threading.Event()

    class SlowVoter(FakeVoter):
        def vote(self, samples: Sequence[Sample]) -> list[Vote | None]:
            assert given_up.wait(60)
            return super().vote(samples)

    panel = image_panel(SlowVoter("a", {"0": CART}))
    with TestClient(create_app(panel, Limits(timeout_seconds=0.2), page=False), base_url=URL) as opened:
        answered = opened.post("/v1/classify", json={"images": [encoded(png())]})
        given_up.set()
    assert refusal(answered, 503) == "no answer within 0.2 s"
    assert answered.headers["retry-after"] == "1"


@pytest.mark.parametrize(
    "fault",
    [PermissionError(13, "Permission denied", "/home/x/cache"), ModuleNotFoundError("No module named 'rapidocr'"),
     MemoryError(), JournalError("the journal /home/x/cache cannot be written")],
    ids=["permission", "library", "memory", "cache"],
)  # fmt: skip
def test_a_fault_of_the_machine_is_no_fault_of_the_request(fault: Exception, caplog: pytest.LogCaptureFixture) -> None:
    class CutOffVoter(FakeVoter):
        def vote(self, samples: Sequence[Sample]) -> list[Vote | None]:
            raise fault

    panel = image_panel(CutOffVoter("a", {}))
    with TestClient(create_app(panel, LIMITS, page=False), base_url=URL) as opened:
        answered = opened.post("/v1/classify", json={"images": [encoded(png())]})
    assert refusal(answered, 503) == "the server cannot answer now; its log says why"
    assert f"a request was not answered: {type(fault).__name__}: {fault}" in caplog.text


@pytest.mark.parametrize("n_bytes", [3 * 2**18, 3 * 2**18 - 1, 3 * 2**18 + 1, 0, 1, 2**21])
def test_base64_in_pieces_gives_every_byte(n_bytes: int) -> None:
    data = bytes(place % 251 for place in range(n_bytes))
    for head in ("", "data:image/png;base64,"):
        assert ask(QuestionIn(images=[head + encoded(data)]), (), Limits()).pictures == (data,)


@pytest.mark.parametrize("text", ["data:a;base64,é", "a", "AAA=AAAA", "A" * 2**20 + "!", "锈" * 4])
def test_what_is_no_base64_is_refused(text: str) -> None:
    with pytest.raises(RefusedError, match="picture 1 is not base64"):
        ask(QuestionIn(images=[text]), (), Limits())


@pytest.mark.parametrize("kind", ["EPS", "TIFF", "GIF", "BMP", "JPEG2000", "PPM"])
def test_formats_that_a_service_does_not_need_are_not_opened(client: TestClient, kind: str) -> None:
    """Pillow hands EPS to Ghostscript; a TIFF's tiles, a GIF's frames escape the limits."""
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, kind)
    body = {"images": [encoded(buffer.getvalue())]}
    assert "picture 1 cannot be read; send a PNG" in refusal(client.post("/v1/classify", json=body), 422)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "MPO"])
def test_what_phones_send_is_opened(client: TestClient, kind: str) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (60, 40)).save(buffer, kind)
    assert client.post("/v1/classify", json={"images": [encoded(buffer.getvalue())]}).status_code == 200


def test_a_jpeg_of_very_many_scans_is_not_decoded() -> None:
    with pytest.raises(DataError, match="a JPEG of more than 200 scans"):
        check_format(b"\xff\xd8\xff" + b"\xff\xda" * 201)


def test_the_panel_is_asked_with_its_own_labels() -> None:
    seen: list[str] = []

    class Listening(FakeVoter):
        def vote(self, samples: Sequence[Sample]) -> list[Vote | None]:
            seen.extend(sample.prompt.text for sample in samples)
            return super().vote(samples)

    taxonomy = Taxonomy("image", (Label(name="甲", gloss="one"), Label(name="乙", gloss="two")))
    voter = Listening("a", {"0": "乙"}, taxonomy=taxonomy)
    task = TaskPanel(taxonomy, (voter,), Weights(voters={"a": VoterWeight()}))
    with TestClient(create_app(replace(image_panel(voter), tasks={"image": task}), page=False), base_url=URL) as opened:
        answer = opened.post("/v1/classify", json={"images": [encoded(png())]}).json()
    assert (answer["label"], answer["gloss"]) == ("乙", "two")
    assert [prompt.endswith('["甲","乙"]\n') for prompt in seen] == [True]
