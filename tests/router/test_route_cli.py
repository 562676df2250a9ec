"""The command: one JSON line a sample, errors in one line, and nothing heavy is imported."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mire import cli
from mire.prompts import OFFICIAL_DIALOGUE_HEAD, OFFICIAL_IMAGE_HEAD
from router import route

ROOT = Path(__file__).parents[2]


def test_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The route follows the prompt, against what ids, labels and file names say."""
    dialogue = f"{OFFICIAL_DIALOGUE_HEAD}用户: 在\n"
    records = [
        {"id": "对话-1", "instruction": OFFICIAL_IMAGE_HEAD, "output": "是否会生锈", "image": ["用户.jpg"]},
        {"id": "image-2", "instruction": dialogue, "output": "退款页面", "image": []},
    ]
    data = tmp_path / "data.json"
    data.write_text(json.dumps(records), encoding="utf-8")
    assert cli.run(route, ["--data", str(data)]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        {"id": "对话-1", "task": "image", "confidence": 0.9986, "reason": "official image frame"},
        {"id": "image-2", "task": "dialogue", "confidence": 0.999, "reason": "official dialogue frame"},
    ]


def test_prompt(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(route, ["--prompt", "判断用户的意图"]) == 0
    line = json.loads(capsys.readouterr().out)
    assert (line["id"], line["task"]) == (None, "dialogue")
    assert set(line) == {"id", "task", "confidence", "reason"}


def test_a_panels_own_labels_are_known(tmp_path: Path, capsys: pytest.CaptureFixture[str], tiny_panel: Path) -> None:
    panel = tmp_path / "p"
    shutil.copytree(tiny_panel, panel)
    own = {"task": "image", "labels": [{"name": name} for name in ("发票页面", "合同页面")]}
    (panel / "image" / "taxonomy.json").write_text(json.dumps(own), encoding="utf-8")
    assert cli.run(route, ["--prompt", "<image><image> 发票页面或合同页面？", "--panel", str(panel)]) == 0
    assert json.loads(capsys.readouterr().out)["reason"] == "2 image labels in the instruction"
    assert cli.run(route, ["--prompt", "x", "--panel", str(tmp_path)]) == 1
    assert "is no panel" in capsys.readouterr().err


def test_a_missing_file_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(route, ["--data", str(tmp_path / "none.json")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1


@pytest.mark.parametrize("argv", [[], ["--prompt", "a", "--data", "b"], ["--model", "x"]])
def test_wrong_usage(argv: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.run(route, argv)


def test_to_import_it_loads_no_heavy_library() -> None:
    code = "import sys, router.route; print([n for n in ('torch', 'sklearn') if n in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
