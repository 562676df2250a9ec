import json
from collections.abc import Callable
from pathlib import Path

import pytest
from records import dialogue_instruction, image_instruction

from ensemble import score
from ensemble.prediction.submission_scores import score_submission
from mire.cli import run

Write = Callable[[object], Path]


def records(labels: str, instruction: str = "", start: int = 0) -> list[dict[str, object]]:
    return [
        {"id": str(start + number), "instruction": instruction or image_instruction(), "output": label, "image": ["a"]}
        for number, label in enumerate(labels.split())
    ]


def submission(path: Path, labels: str) -> Path:
    rows = [f"{number},{label}" for number, label in enumerate(labels.split())]
    path.write_text("\n".join(["id,predict", *reversed(rows)]) + "\n")
    return path


def test_the_official_readmes_example(write_json: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = write_json(records("a d d a c a c a a a"))
    csv = submission(tmp_path / "s.csv", "d b a b c a a a a a")
    assert run(score, ["--truth", str(truth), "--submission", str(csv)]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    figures = json.loads(line)
    assert round(figures["f1"], 4) == 0.5333
    assert (figures["accuracy"], round(figures["precision"], 9), figures["recall"]) == (0.5, 0.6, 0.5)
    assert figures["tasks"]["image"]["n"] == 10
    assert figures["tasks"]["dialogue"] is None
    assert [figures[name] for name in ("mean_f1", "mean_low", "mean_high")] == [None] * 3
    assert 0 < figures["low"] < figures["f1"] < figures["high"] < 1


def test_the_mean_is_over_tasks_not_rows(write_json: Write, tmp_path: Path) -> None:
    both = records("a a a") + records("b", dialogue_instruction("用户: 会生锈吗"), start=3)
    figures = score_submission(write_json(both), submission(tmp_path / "s.csv", "a a a x"))
    assert figures["tasks"]["image"]["f1"] == 1
    assert figures["tasks"]["dialogue"]["f1"] == 0
    assert (figures["mean_low"], figures["mean_f1"], figures["mean_high"]) == (0.5, 0.5, 0.5)  # either task is certain
    assert figures["accuracy"] == 0.75


@pytest.mark.parametrize(
    ("labels", "predicted", "message"),
    [("a b", "a", "must hold exactly the ids of"), ("a", "a b", "1 differ (first: '1')")],
)
def test_ids_must_agree(
    write_json: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str], labels: str, predicted: str, message: str
) -> None:
    csv = submission(tmp_path / "s.csv", predicted)
    assert run(score, ["--truth", str(write_json(records(labels))), "--submission", str(csv)]) == 1
    seen = capsys.readouterr().err
    assert message in seen
    assert seen.count("\n") == 1
