"""The queue for people: its order, and what it shows."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from ensemble import predict
from ensemble.decisions.review_queue import Doubtful, label_config, queued
from mire.cli import run
from mire.labels import Label, Taxonomy, builtin_taxonomy


def test_the_least_sure_of_each_confusion_comes_first() -> None:
    answers = [
        Doubtful("a", "x", 0.4, 0.01, "y"), Doubtful("b", "y", 0.4, 0.02, "x"), Doubtful("c", "x", 0.5, 0.03, "y"),
        Doubtful("d", "x", 0.6, 0.30, "z"), Doubtful("e", "z", 0.6, 0.40, "x"), Doubtful("f", "z", 0.6, 0.20, "y"),
    ]  # fmt: skip
    assert [answer.id for answer in queued(reversed(answers))] == ["a", "f", "d", "b", "e", "c"]


def test_the_configuration_offers_the_live_labels() -> None:
    entries = (Label(name='a "<b>"', gloss="first & best"), Label(name="c", gloss="", live=False))
    view = ElementTree.fromstring(label_config(Taxonomy(task="image", entries=entries)))
    assert [child.tag for child in view] == ["HyperText", "Choices"]
    assert [choice.attrib for choice in view.iter("Choice")] == [{"value": 'a "<b>"', "hint": "first & best"}]
    both = ElementTree.fromstring(label_config(builtin_taxonomy("dialogue")))
    assert [child.get("name") for child in both] == ["dialogue", "pictures", "label"]
    assert both[2].get("toName") == "dialogue" and len(both[2]) == 23


@pytest.fixture(scope="module")
def queue(tiny_panel: Path, tiny_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything is queued: the panel has no thresholds. A shopper of the last sample leaves a number."""
    root = tmp_path_factory.mktemp("review")
    records = json.loads((tiny_set / "train.json").read_text("utf-8"))[:6]
    records[5]["instruction"] = records[5]["instruction"].replace("用户: ", "用户: 打13812345678, ")
    (root / "d.json").write_text(json.dumps(records, ensure_ascii=False), "utf-8")
    data = ["--data", str(root / "d.json"), "--images", str(tiny_set / "images"), "--panel", str(tiny_panel)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MIRE_CACHE", str(tiny_panel.with_name("cache")))
        assert run(predict, [*data, "--out", str(root / "o.csv"), "--review", str(root / "queue")]) == 0
    return root / "queue"


def tasks(queue: Path, task: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((queue / task / "tasks.json").read_text("utf-8"))
    return found


def test_a_task_holds_the_answer_and_masked_texts_and_pictures(queue: Path) -> None:
    assert {entry["data"]["sample"] for entry in tasks(queue, "image")} == {"0000", "0001", "0002"}
    assert all(entry["data"]["pictures"].startswith('<img src="data:image/jpeg') for entry in tasks(queue, "image"))
    (private,) = (entry for entry in tasks(queue, "dialogue") if entry["data"]["sample"] == "0005")
    assert [turn["speaker"] for turn in private["data"]["dialogue"]] == ["客服", "用户"]
    assert private["data"]["dialogue"][1]["text"].startswith("打[phone], ")
    (answer,) = private["predictions"]
    assert 0 < answer["score"] <= 1 and answer["result"][0]["to_name"] == "dialogue"
    assert answer["result"][0]["value"]["choices"][0] in builtin_taxonomy("dialogue").labels


def test_the_submission_stays_as_it_is_without_scores(queue: Path) -> None:
    header = queue.with_name("o.csv").read_text("utf-8-sig").splitlines()[0]
    assert header == "id,instruction,input,output,image,predict"


def test_no_queue_goes_into_a_panel(tiny_panel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = ["--data", str(tmp_path / "d.json"), "--images", str(tmp_path), "--panel", str(tiny_panel)]
    assert run(predict, [*data, "--out", str(tmp_path / "o.csv"), "--review", str(tiny_panel / "queue")]) == 1
    assert "lies in the panel, which is shared; name a folder beside it" in capsys.readouterr().err
