"""The learned part: its phrases, its calibration, and that it is the same on every run."""

import json
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from mire.cli import run
from router import calibrate, classifier
from router.route import THRESHOLD
from router.wording import wording

ROOT = Path(__file__).parents[2]
REWORDED = json.loads((Path(__file__).parent / "reworded.json").read_text(encoding="utf-8"))


def test_phrases_are_many_and_distinct() -> None:
    texts, tasks = classifier.phrases()
    assert len(set(texts)) == len(texts)
    assert min(tasks.count("image"), tasks.count("dialogue")) >= 60
    assert min(map(len, texts)) <= 4


def test_rewordings_are_not_phrases() -> None:
    known = set(classifier.phrases()[0])
    assert not [sample["text"] for sample in REWORDED if wording(sample["text"]) in known]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Picture 1: <image>\n 看图 ", "看图"),
        ("ＩＭＡＧＥ　ｔｙｐｅ", "image type"),
        ("图片：<image> <image>", ""),
        ("1 2 _ ！", ""),
    ],
)
def test_wording(text: str, words: str) -> None:
    assert wording(text) == words


def test_training_again_gives_the_same_classifier() -> None:
    first, second = (classifier.untrained().fit(*classifier.phrases()) for _ in range(2))
    words = [wording(sample["text"]) for sample in REWORDED]
    np.testing.assert_array_equal(first.predict_proba(words), second.predict_proba(words))


def test_odds_are_the_dialogues() -> None:
    assert classifier.log_odds("截图属于哪个页面") < -1.4
    assert classifier.log_odds("判断用户的意图") > 1.4


def test_the_threshold_is_the_calibrated_one() -> None:
    confidence, right = calibrate.held_out()
    assert right.mean() > 0.9
    assert calibrate.choose_threshold(confidence, right) == THRESHOLD


def test_choose_threshold() -> None:
    confidence = np.array([0.55, 0.65, 0.75, 0.95])
    assert calibrate.choose_threshold(confidence, np.array([True, True, True, True])) == 0.5
    assert calibrate.choose_threshold(confidence, np.array([True, False, True, True])) == 0.7
    assert calibrate.choose_threshold(confidence, np.array([True, True, True, False])) == 0.95


def test_confidences_are_the_measured_ones() -> None:
    measured = json.loads(resources.files("router").joinpath("confidences.json").read_text(encoding="utf-8"))
    assert calibrate.count_routes(calibrate.labelled_prompts(ROOT / path for path in calibrate.LABELLED)) == measured
    assert measured["the instruction's words"]["n"] > 200


def test_calibrate_prints_its_choice(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    assert run(calibrate, []) == 0
    assert capsys.readouterr().out.endswith(f"choice: {THRESHOLD}\n")
