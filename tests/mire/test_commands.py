"""``mire.validate`` and ``mire.doctor`` as a person runs them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from records import dialogue_instruction

from mire import validate
from mire.cli import run
from mire.doctor import __main__ as doctor


def test_a_clean_set_validates(tiny_set: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(validate, ["--data", str(tiny_set / "train.json"), "--images", str(tiny_set / "images")]) == 0
    assert "24 samples, 6 labels: " in capsys.readouterr().out


def test_every_fault_is_listed(
    tmp_path: Path, write_json: Callable[[object], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "b.png").write_bytes(b"no picture")
    records = [
        {"id": "1", "instruction": "<image>", "output": "没有的", "image": ["a.png"]},
        {"id": "2", "instruction": "<image>", "output": "", "image": ["b.png"]},
    ]
    assert run(validate, ["--data", str(write_json(records)), "--images", str(tmp_path)]) == 1
    seen = capsys.readouterr()
    assert "record 1, id '1': picture 'a.png' is missing" in seen.out
    assert "record 1, id '1': '没有的' is not a live label; name labels of your own with --config" in seen.out
    assert "record 2, id '2': picture 'b.png' cannot be read: " in seen.out
    assert seen.err.startswith("error: ") and "3 faults" in seen.err


def test_labels_and_limits_of_ones_own(
    tmp_path: Path, write_json: Callable[[object], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    labels = {"task": "dialogue", "labels": [{"name": "开发票"}, {"name": "改地址"}]}
    (tmp_path / "mine.json").write_text(json.dumps(labels), encoding="utf-8")
    (tmp_path / "c.yaml").write_text(
        "name: mine\nmax_decoded_pixels: 99\npanel: {image: [screen_text], dialogue: [dialogue_text]}\n"
        f"taxonomies: {{dialogue: {tmp_path / 'mine.json'}}}\n"
    )
    Image.new("RGB", (10, 10)).save(tmp_path / "a.png")
    records = [
        {"id": "1", "instruction": dialogue_instruction("用户: 发票"), "output": "开发票", "image": []},
        {"id": "2", "instruction": dialogue_instruction("用户: 发票"), "output": "是否会生锈", "image": []},
        {"id": "3", "instruction": "<image>", "output": "退款页面", "image": ["a.png"]},
    ]
    usual = ["--data", str(write_json(records)), "--images", str(tmp_path)]
    assert run(validate, [*usual, "--config", str(tmp_path / "c.yaml")]) == 1
    notes, listed = _notes_and_faults(capsys.readouterr().out)
    assert notes[0] == "note: record 1, id '1', label '开发票': user: 发票; pictures: none"
    assert listed == [
        "record 2, id '2': '是否会生锈' is not a live label; name labels of your own with --config",
        "record 3, id '3': picture 'a.png': 10x10 pixels exceed the limit of 99",
    ]
    assert run(validate, usual) == 1
    assert _notes_and_faults(capsys.readouterr().out)[1] == [
        "record 1, id '1': '开发票' is not a live label; name labels of your own with --config"
    ]


def _notes_and_faults(said: str) -> tuple[list[str], list[str]]:
    lines = said.splitlines()[:-1]
    notes = [line for line in lines if line.startswith("note: ")]
    return notes, [line for line in lines if line not in notes]


def test_a_tables_first_rows_are_shown_as_they_were_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "data.csv"
    data.write_text(
        '聊天记录,意图,渠道\n"张三: 我的电话13812345678\n客服: 您好",开发票,app\n改地址,改地址,\n', encoding="gbk"
    )
    assert run(validate, ["--data", str(data)]) == 1  # neither is a label of the challenge
    assert _notes_and_faults(capsys.readouterr().out)[0] == [
        "note: text from column '聊天记录', no image column, label from column '意图'",
        "note: record 1, id 'row-2', label '开发票': user: 我的电话[phone] | agent: 您好; pictures: none",
        "note: record 2, id 'row-3', label '改地址': user: 改地址; pictures: none",
    ]


def test_usage_errors_exit_with_2() -> None:
    with pytest.raises(SystemExit, match="2"):
        run(validate, ["--nonsense"])


def test_doctor_prints_the_budget_of_a_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(doctor, ["--config", "cpu"]) == 0
    assert "fits: fewer than 10,000,000,000 are allowed" in capsys.readouterr().out


def test_doctor_refuses_a_folder_that_is_no_panel(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(doctor, ["--panel", str(tmp_path)]) == 1
    assert "is no panel: settings.json is missing" in capsys.readouterr().err


def test_settings_errors_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(doctor, ["--config", "nono"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
