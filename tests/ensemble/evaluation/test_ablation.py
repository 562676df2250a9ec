"""An ablation from end to end, by a panel of small voters."""

import json
from pathlib import Path

import pytest
from records import dialogue_instruction

from ensemble import ablate
from mire.cli import run


def ablation(data: Path, tiny_set: Path, panel: Path, out: Path) -> int:
    arguments = ["--data", str(data), "--images", str(tiny_set / "images"), "--panel", str(panel), "--out", str(out)]
    return run(ablate, arguments)


def lost(sample_id: str) -> dict[str, object]:
    """A dialogue that carries the label of a picture: whatever the panel answers is wrong."""
    text = dialogue_instruction("客服: 您好", "用户: 这个会生锈吗")
    return {"id": sample_id, "instruction": text, "input": "", "output": "店铺页面", "image": []}


def test_misrouted_samples_are_counted_and_left_out_of_the_scores(
    tiny_panel: Path, tiny_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = json.loads((tiny_set / "train.json").read_text(encoding="utf-8"))
    (tmp_path / "d.json").write_text(json.dumps([*records, lost("x9")]), encoding="utf-8")
    assert ablation(tmp_path / "d.json", tiny_set, tiny_panel, tmp_path) == 0
    assert "1 samples went to the wrong task" in capsys.readouterr().err
    result = json.loads((tmp_path / "ablation.json").read_text(encoding="utf-8"))
    assert result["router"]["misrouted"] == ["x9"]
    assert result["router"]["counts"] == {
        "image": {"image": 12, "dialogue": 1},
        "dialogue": {"image": 0, "dialogue": 12},
    }
    assert [task["n"] for task in result["tasks"].values()] == [12, 12]
    # still all of the training samples, so still out of fold
    assert [task["votes"] for task in result["tasks"].values()] == ["out_of_fold", "out_of_fold"]
    assert "x9" in (tmp_path / "ablation.html").read_text(encoding="utf-8")


def test_a_file_of_misrouted_samples_is_refused(
    tiny_panel: Path, tiny_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "d.json").write_text(json.dumps([lost("x8"), lost("x9")]), encoding="utf-8")
    assert ablation(tmp_path / "d.json", tiny_set, tiny_panel, tmp_path) == 1
    assert "the router sent every sample to the other task than its label's" in capsys.readouterr().err


def test_a_single_voter_contributes_the_whole_score(tiny_panel: Path, tiny_set: Path, tmp_path: Path) -> None:
    assert ablation(tiny_set / "train.json", tiny_set, tiny_panel, tmp_path) == 0
    result = json.loads((tmp_path / "ablation.json").read_text(encoding="utf-8"))
    for task in result["tasks"].values():
        (system,), contributions = task["systems"], task["contributions"]
        assert contributions["left_out"] == []
        assert [step["change"] for step in contributions["added"]] == [system["f1"]]
