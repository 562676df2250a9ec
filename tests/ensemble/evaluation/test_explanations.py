import json
import shutil
from pathlib import Path

import pytest
from records import dialogue_instruction

from ensemble import explain
from experts.dialogue_text.voter import DialogueTextVoter
from mire.cli import run


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_dialogue_names_its_words_and_a_picture_its_labels_only(
    tiny_panel: Path, tiny_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without ``--images`` the pictures lie beside the data."""
    data = shutil.copy(tiny_set / "train.json", shutil.copytree(tiny_set / "images", tmp_path / "beside"))
    assert run(explain, ["--panel", str(tiny_panel), "--data", str(data), "--id", "0003", "--id", "0000"]) == 0
    picture, dialogue = lines(capsys)
    assert (picture["id"], picture["task"], picture["voters"]["clip_lightgbm"]["words"]) == ("0000", "image", None)
    assert (dialogue["predict"], dialogue["task"]) == ("是否会生锈", "dialogue")
    assert any("生锈" in word for word in dialogue["voters"]["dialogue_text"]["words"])
    assert len(dialogue["voters"]["dialogue_text"]["labels"]) == 3


def test_every_label_names_its_words(tiny_panel: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(explain, ["--panel", str(tiny_panel)]) == 0
    words = {line["label"]: line["words"] for line in lines(capsys)}
    assert len(words) == 23
    assert any("锈" in word for word in words["是否会生锈"])


def test_an_unknown_id_is_an_error(tiny_panel: Path, tiny_set: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--panel", str(tiny_panel), "--data", str(tiny_set / "train.json"), "--id", "nobody"]
    assert run(explain, arguments) == 1
    assert "holds no sample 'nobody'" in capsys.readouterr().err


def test_an_explanation_quotes_no_number_of_a_customer(
    tiny_panel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DialogueTextVoter, "explain", lambda self, samples: [[("1381", 0.5)] for _ in samples])
    text = dialogue_instruction("客服: 您好", "用户: 13812345678")
    record = {"id": "a", "instruction": text, "input": "", "output": "", "image": []}
    (tmp_path / "data.json").write_text(json.dumps([record]), encoding="utf-8")
    arguments = ["--panel", str(tiny_panel), "--data", str(tmp_path / "data.json"), "--images", str(tmp_path)]
    for extra, word in (([], "[private]"), (["--show-private"], "1381")):
        assert run(explain, [*arguments, *extra]) == 0
        assert lines(capsys)[0]["voters"]["dialogue_text"]["words"] == {word: 0.5}
