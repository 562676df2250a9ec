"""The wire formats over a panel whose voters say what they are told."""

import base64
import json
import logging
import random
from collections.abc import Iterator
from dataclasses import replace
from math import log
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeVoter, image_panel
from records import png

pytest.importorskip("gradio", reason="the extra 'serve' is not installed")
from fastapi.testclient import TestClient

from ensemble.panel import Panel, TaskPanel
from ensemble.serve.access import Access
from ensemble.serve.app import create_app
from ensemble.serve.limits import Limits
from ensemble.voting.weights import VoterWeight, Weights
from mire.labels import builtin_taxonomy
from mire.samples import read_samples
from scripts.benchmarks.serve import decisions_body

CART, RUST, SEASON = "购物车页面", "是否会生锈", "适用季节"
KEY = "a-key-0123456789"
LIMITS = Limits(max_pictures=3, max_characters=500, max_turns=5, max_lines=40)


def both_tasks(image: FakeVoter, dialogue: FakeVoter) -> Panel:
    panel = image_panel(image)
    weights = Weights(voters={dialogue.name: VoterWeight()})
    panel.tasks["dialogue"] = TaskPanel(builtin_taxonomy("dialogue"), (dialogue,), weights)
    return replace(panel, fingerprint="0123456789ab")


def talker(answers: dict[str, str]) -> FakeVoter:
    return FakeVoter("d", answers, taxonomy=builtin_taxonomy("dialogue"))


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    # The voters give 0.8 to their label and 0.2 / 22 to every other one; a pass names its samples by their places.
    panel = both_tasks(FakeVoter("a", {"0": CART}), talker({"0": RUST}))
    with TestClient(create_app(panel, LIMITS, page=False), base_url="http://127.0.0.1") as opened:
        yield opened


def picture() -> str:
    return f"data:image/png;base64,{base64.b64encode(png()).decode()}"


def shown(*parts: dict[str, str]) -> list[dict[str, Any]]:
    return [{"role": "user", "type": "message", "content": list(parts)}]


PICTURE = shown({"type": "input_image", "image_url": picture()})


def choice(*values: Any, instructions: str = "Which one?", **more: Any) -> dict[str, Any]:
    choices = [value if isinstance(value, dict) else {"value": value} for value in values]
    return {"type": "choice", "instructions": instructions, "choices": choices, **more}


def predicate(instructions: Any) -> dict[str, Any]:
    return {"type": "predicate", "instructions": instructions}


def decide(client: TestClient, shown: Any, *questions: Any) -> Any:
    return client.post("/v1/decisions", json={"model": "any", "input": shown, "questions": questions})


def system_one(client: TestClient, state: Any, **questions: Any) -> Any:
    return client.post("/v1/systemone", json={"state": state, "questions": questions})


def test_choices_are_renormalised_and_a_predicate_is_not(client: TestClient) -> None:
    questions = [choice(RUST, "Season", name="q"), predicate("Does it rust?"), predicate(f"用户在问{SEASON}吗？")]
    answer = decide(client, "会生锈吗", *questions).json()
    first, second, third = answer["answers"]
    other = 0.2 / 22
    share = 0.8 / (0.8 + other)
    assert (first["type"], first["choice"], first["name"]) == ("choice", RUST, "q")
    assert first["probabilities"] == [
        {"value": RUST, "probability": pytest.approx(share)},
        {"value": "Season", "probability": pytest.approx(1 - share)},
    ]
    entropy = -share * log(share) - (1 - share) * log(1 - share)
    assert first["confidence"] == pytest.approx(1 - entropy / log(2))
    assert second == {"type": "predicate", "probability": pytest.approx(0.8), "name": None}
    assert third["probability"] == pytest.approx(other)
    assert answer["model"] == "nano-0123456789ab"


def test_a_request_makes_one_pass_for_each_task_and_counts_its_tokens() -> None:
    voters = FakeVoter("a", {"0": CART}), talker({"0": RUST})
    with TestClient(create_app(both_tasks(*voters), LIMITS, page=False), base_url="http://127.0.0.1") as opened:
        content = shown({"type": "input_text", "text": "看图"}, {"type": "input_image", "image_url": picture()})
        answer = decide(opened, content, choice(CART, "Refund"), choice(RUST, SEASON), predicate(CART)).json()
    assert [voter.runs for voter in voters] == [1, 1]
    assert [each.get("choice") for each in answer["answers"]] == [CART, RUST, None]
    # no language model read a prompt; each voter books 10 tokens for its longest label
    assert (answer["usage"]["input_tokens"], answer["usage"]["output_tokens"]) == (0, 20)


@pytest.mark.parametrize(
    ("content", "instructions", "label"),
    [
        (PICTURE, "", CART),
        ([*PICTURE[:1], {"role": "user", "content": "看"}], f"{CART}, 退款页面, 店铺页面, …", CART),
        ("会生锈吗", "", RUST),
    ],
)
def test_a_choice_without_choices_asks_for_all_labels_of_the_task_that_the_words_name(
    client: TestClient, content: Any, instructions: str, label: str
) -> None:
    (answer,) = decide(client, content, {"type": "choice", "instructions": instructions}).json()["answers"]
    assert (answer["choice"], len(answer["probabilities"])) == (label, 23)
    assert sum(each["probability"] for each in answer["probabilities"]) == pytest.approx(1)


def test_a_label_may_stand_in_the_description(client: TestClient) -> None:
    options = {"value": True, "description": CART}, {"value": False, "description": "Refund"}
    (answer,) = decide(client, PICTURE, choice(*options)).json()["answers"]
    assert answer["choice"] is True


def test_messages_are_the_turns_of_a_dialogue() -> None:
    class Listening(FakeVoter):
        def vote(self, samples: Any) -> Any:
            heard.extend((turn.speaker, turn.text) for sample in samples for turn in sample.turns)
            return super().vote(samples)

    heard: list[tuple[str, str]] = []
    voter = Listening("d", {"0": RUST}, taxonomy=builtin_taxonomy("dialogue"))
    panel = both_tasks(FakeVoter("a", {}), voter)
    with TestClient(create_app(panel, LIMITS, page=False), base_url="http://127.0.0.1") as opened:
        messages = [
            {"role": "system", "content": "You work for a shop."},
            {"role": "assistant", "content": [{"type": "output_text", "text": "您好"}]},
            {"role": "user", "content": [{"type": "text", "text": "它<image>"}, {"type": "image", "image": picture()}]},
        ]
        assert system_one(opened, messages, q={"type": "noul", "instructions": RUST}).status_code == 200
        assert heard == [("agent", "您好"), ("user", "它[image] <image>")]
        heard.clear()
        assert system_one(opened, "客服: 您好\n用户: 会生锈吗", q={"type": "noul", "instructions": RUST}).is_success
        assert heard == [("agent", "您好"), ("user", "会生锈吗")]
        heard.clear()
        assert system_one(opened, {"ticket": "会生锈吗"}, q={"type": "noul", "instructions": RUST}).is_success
        assert heard == [("user", '{"ticket": "会生锈吗"}')]


def test_system_one_answers_by_name(client: TestClient) -> None:
    answer = system_one(
        client,
        "会生锈吗",
        rust={"type": "noul", "instructions": "Is it true?", "criteria": {"true": RUST}},
        which={"type": "choice", "criteria": {"a": RUST, SEASON: None}},
    ).json()
    assert answer["answers"]["rust"] == {"type": "noul", "noul": pytest.approx(0.8)}
    which = answer["answers"]["which"]
    assert (which["choice"], list(which["probabilities"])) == ("a", ["a", SEASON])
    assert answer["usage"] == {"input_tokens": 0, "output_tokens": 10}


def test_where_no_expert_says_anything_the_answer_is_a_refusal() -> None:
    panel = both_tasks(FakeVoter("a", {}), talker({}))
    with TestClient(create_app(panel, LIMITS, page=False), base_url="http://127.0.0.1") as opened:
        assert decide(opened, "嗯", predicate(RUST)).json()["answers"] == [{"type": "refusal", "name": None}]
        assert system_one(opened, "嗯", q={"type": "noul", "instructions": RUST}).json()["answers"] == {}


def test_models(client: TestClient) -> None:
    (model,) = client.get("/v1/models").json()["data"]
    assert (model["id"], model["object"]) == ("nano-0123456789ab", "model")
    assert {task: len(labels) for task, labels in model["labels"].items()} == {"image": 23, "dialogue": 23}


REMOTE = shown({"type": "input_image", "image_url": "https://example.com/a.png"})


@pytest.mark.parametrize(
    ("content", "question", "reason"),
    [
        ("a", {"type": "score", "instructions": "How bad?"}, "a score has levels, this panel has labels"),
        ("a", choice(RUST, "dog"), "'dog' is no label of the task that the other choices belong to; this panel's"),
        ("a", choice(RUST, CART), "is no label of the task"),
        ("a", choice(RUST, "Does it rust"), "two choices mean the same label, '是否会生锈'"),
        ("a", choice(RUST), "a choice needs at least 2 choices"),
        ("a", predicate("Is it nice?"), "this one names none; this panel's labels, by name or gloss, are image: "),
        ("a", predicate(f"{RUST} or {SEASON}"), f"this one names {RUST}, {SEASON}; ask a choice"),
        ("a", choice(CART, "Refund"), "question 1 asks for labels of a picture: send exactly one, got 0"),
        (PICTURE * 2, choice(CART, "Refund"), "send exactly one, got 2"),
        (REMOTE, choice(CART, "Refund"), "a picture must be a data URL (data:image/png;base64,...); no address"),
        ("", predicate(RUST), "there is nothing to decide on"),
        ([{"role": "tool", "content": "a"}], predicate(RUST), "message 1: 'role' must be user, assistant, system"),
        ([{"type": "function_call"}], predicate(RUST), "message 1: only messages with 'role' and 'content' are read"),
        ([{"role": "user", "content": 1}], predicate(RUST), "'content' must be a text or a list of parts"),
        (shown({"type": "input_file"}), predicate(RUST), "must be a text or a picture, got 'input_file'"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_the_reason(
    client: TestClient, content: Any, question: Any, reason: str
) -> None:
    refused = decide(client, content, question)
    assert (refused.status_code, reason in refused.json()["detail"]) == (400, True), refused.text


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"input": "a", "questions": []}, "questions: List should have at least 1 item"),
        ({"input": "a", "questions": [{"type": "box"}]}, "does not match any of the expected tags"),
        ({"input": "a" * 501, "questions": [predicate(RUST)]}, "a text may have 500 characters, got 501"),
        ({"input": "a", "questions": [predicate("x" * 501)]}, "a text may have 500 characters, got 501"),
        (
            {"input": [{"role": "system", "content": "a" * 501}, *shown({"type": "text", "text": "a"})],
             "questions": [choice()]},
            "a text may have 500 characters, got 502",
        ),
        (
            {"input": "a", "questions": [choice(instructions="x" * 499)] * 11},
            "questions, each with the system's message, may have 5000 characters, got 5489",
        ),
        ({"input": "a", "questions": [choice(RUST, "\ud800")]}, "text must be Unicode"),
        ({"input": shown({"type": "input_image", "image_url": "data:;base64,AAAA"}), "questions": [predicate(CART)]},
         "picture 1 cannot be read; send a PNG"),
        ([], "Input should be"),
    ],
)  # fmt: skip
def test_bodies_that_break_a_rule(client: TestClient, body: Any, reason: str) -> None:
    data, headers = json.dumps(body), {"content-type": "application/json"}
    refused = client.post("/v1/decisions", content=data, headers=headers)
    assert (refused.status_code, reason in refused.json()["detail"]) == (422, True), refused.text


@pytest.mark.parametrize("path", ["/v1/decisions", "/v1/systemone"])
def test_100_malformed_requests_are_refused_and_the_server_lives_on(client: TestClient, path: str) -> None:
    rng = random.Random(7)
    rust = {"type": "noul" if path == "/v1/systemone" else "predicate", "instructions": RUST}
    good: dict[str, Any] = {"state": "a", "questions": {"q": rust}}
    if path == "/v1/decisions":
        good = {"model": "m", "input": "a", "questions": [rust]}
    odd = (None, 7, [], {}, [[]], "", {"type": "choice"}, [{"role": "user"}])
    for number in range(100):
        body = json.loads(json.dumps(good))
        data = json.dumps(body).encode()
        if number % 2:
            data = data[: rng.randrange(len(data))]
        else:
            del body[rng.choice(["questions", "input" if "input" in body else "state"])]
            data = json.dumps(body | {"more": rng.choice(odd), "questions": rng.choice(odd)}).encode()
        headers = {"content-type": rng.choice(["application/json", "application/json; q=1", "text/plain"])}
        refused = client.post(path, content=data, headers=headers)
        assert 400 <= refused.status_code < 500, (refused.status_code, data)
        assert refused.json()["detail"]
    assert client.post(path, json=good).status_code == 200


def test_the_benchmark_sends_what_is_answered(client: TestClient, tiny_set: Path) -> None:
    samples = read_samples(tiny_set / "train.json", tiny_set / "images")
    bodies = [
        decisions_body(next(sample for sample in samples if bool(sample.turns) is spoken)) for spoken in (False, True)
    ]
    for body, label in zip(bodies, (CART, RUST), strict=True):
        answered = client.post("/v1/decisions", json=body)
        assert (answered.status_code, answered.headers["x-mire-panel"]) == (200, "0123456789ab"), answered.text
        assert answered.json()["answers"][0]["choice"] == label


def test_deep_bodies(client: TestClient) -> None:
    for deep in ("[" * 900 + "]" * 900, '{"a":' * 400 + "1" + "}" * 400):
        body = f'{{"state": {deep}, "questions": {{"q": {{"type": "noul", "instructions": {deep}}}}}}}'
        assert client.post("/v1/systemone", content=body, headers={"content-type": "application/json"}).is_client_error


def test_keys_and_request_ids(caplog: pytest.LogCaptureFixture) -> None:
    panel = both_tasks(FakeVoter("a", {}), talker({"0": RUST}))
    app = create_app(panel, LIMITS, page=False, access=Access(keys=(KEY,)))
    with TestClient(app, base_url="http://127.0.0.1") as opened, caplog.at_level(logging.INFO, logger="ensemble.serve"):
        for headers in ({}, {"authorization": "Bearer wrong"}):
            for path in ("/v1/decisions", "/v1/systemone"):
                assert opened.post(path, json={}, headers=headers).status_code == 401
            assert opened.get("/v1/models", headers=headers).status_code == 401
        headers = {"authorization": f"Bearer {KEY}", "x-request-id": "mine-1"}
        body = {"model": "m", "input": "会生锈吗", "questions": [predicate(RUST)]}
        answered = opened.post("/v1/decisions", json=body, headers=headers)
        other = opened.post("/v1/decisions", json=body, headers=headers | {"x-request-id": "bad id"})
    assert (answered.headers["x-request-id"], answered.headers["x-mire-panel"]) == ("mine-1", "0123456789ab")
    assert len(other.headers["x-request-id"]) == 32
    lines = [record.getMessage() for record in caplog.records if "mine-1" in record.getMessage()]
    assert len(lines) == 1
    assert lines[0].startswith("mine-1 POST /v1/decisions 200 ")
    assert lines[0].endswith(" ms, panel 0123456789ab")
    assert "生锈" not in caplog.text
