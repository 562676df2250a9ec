"""The recipes of docs/CONTRIBUTING.md and docs/voter_example.py, run as they stand there."""

import importlib
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import create_model
from records import image_instruction

import experts
import mire.metrics
import mire.settings
from ensemble import ablate, explain, fit, predict, rules, score, train
from ensemble.prediction.digest import device
from ensemble.voting import pooling
from ensemble.voting.oof_votes import write_votes
from experts import registry
from mire import model_sizes
from mire.budget import Cost
from mire.cli import run
from mire.doctor import __main__ as doctor
from mire.labels import builtin_taxonomy
from mire.panel_folder import PanelFolder
from mire.settings import Qwen2VL, Settings, load_settings
from mire.votes import Vote

DOCS = Path(__file__).parent.parent / "docs"
PAGE = (DOCS / "CONTRIBUTING.md").read_text(encoding="utf-8")
CONFIG = """
name: toy
folds: 2
panel: {image: [screen_text], dialogue: [characters, dialogue_text]}
characters: {smoothing: 0.5}
dialogue_text: {template_weight: 0, turn_weight: 0}
"""


def blocks(title: str) -> list[str]:
    """The python blocks under a heading."""
    section = PAGE.split(f"## {title}\n")[1].split("\n## ")[0]
    return re.findall(r"^```python\n(.*?)^```", section, flags=re.S | re.M)


def defined(block: str, module: Any, name: str) -> Any:
    """What a block defines where it is a part of a module."""
    space = {**vars(module)}
    exec(block, space)
    return space[name]


@pytest.fixture
def characters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The recipe's voter, added in its three places."""
    stage, row = blocks("Adding a voter")
    kind = defined(stage, mire.settings, "Characters")
    monkeypatch.setattr(mire.settings, "Characters", kind, raising=False)
    monkeypatch.setattr(
        mire.settings, "Settings", create_model("Settings", __base__=Settings, characters=(kind, kind()))
    )
    folder = tmp_path / "experts" / "characters"
    folder.mkdir(parents=True)
    shutil.copy(DOCS / "voter_example.py", folder / "voter.py")
    monkeypatch.setattr(experts, "__path__", [*experts.__path__, str(folder.parent)])
    added = eval(row, {**vars(registry), "Characters": kind})
    monkeypatch.setitem(registry.VOTERS, added.name, added)
    monkeypatch.setenv("MIRE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def dialogues(tiny_set: Path, tmp_path: Path) -> Path:
    records = json.loads((tiny_set / "train.json").read_text(encoding="utf-8"))
    path = tmp_path / "dialogues.json"
    kept = [record for record in records if not record["image"]]
    path.write_text(json.dumps(kept, ensure_ascii=False), encoding="utf-8")
    return path


@pytest.mark.slow
@pytest.mark.usefixtures("characters")
def test_a_voter(
    dialogues: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It trains, votes, is fitted, ablated, explained and counted, by the commands themselves."""
    (tmp_path / "toy.yaml").write_text(CONFIG)
    kind = importlib.import_module("experts.characters.voter").CharactersVoter
    monkeypatch.setattr(kind, "sizes", classmethod(lambda cls, settings, task: {"characters' network": 123_456}))
    data, panel = ["--data", str(dialogues), "--images", str(tmp_path)], ["--panel", str(tmp_path / "p")]
    assert run(train, ["dialogue", *data, *panel, "--config", str(tmp_path / "toy.yaml")]) == 0
    assert json.loads((tmp_path / "p/dialogue/votes/characters.json").read_text())["cost"]["calls"] == 0
    assert "smoothing: 0.5" in (tmp_path / "p/README.md").read_text()
    assert run(fit, [*panel, "--task", "dialogue"]) == 0
    assert "characters" in json.loads((tmp_path / "p/dialogue/weights.json").read_text())["voters"]
    assert run(predict, [*data, *panel, "--out", str(tmp_path / "s.csv")]) == 0
    assert run(score, ["--truth", str(dialogues), "--submission", str(tmp_path / "s.csv")]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["f1"] == 1
    assert run(ablate, [*data, *panel, "--out", str(tmp_path / "a")]) == 0
    systems = json.loads((tmp_path / "a/ablation.json").read_text())["tasks"]["dialogue"]["systems"]
    assert [system["voters"] for system in systems] == [
        ["characters"], ["dialogue_text"], ["characters", "dialogue_text"]
    ]  # fmt: skip
    capsys.readouterr()
    assert run(explain, panel) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    rust = next(line for line in lines if (line["voter"], line["label"]) == ("characters", "是否会生锈"))
    assert "锈" in rust["words"]
    assert run(explain, [*panel, *data, "--id", "0003"]) == 0
    assert "锈" in json.loads(capsys.readouterr().out)["voters"]["characters"]["words"]
    assert run(doctor, panel) == 0
    assert "characters' network                          123,456" in capsys.readouterr().out


@pytest.mark.usefixtures("characters")
def test_a_voter_on_a_gpu_has_other_answers_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "toy.yaml").write_text(CONFIG)
    settings = load_settings(str(tmp_path / "toy.yaml"))
    assert device(settings) == ""
    monkeypatch.setitem(registry.VOTERS, "characters", replace(registry.VOTERS["characters"], gpu=True))
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert device(settings) == "cpu"
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda: "some GPU")
    assert device(settings) == "some GPU"


def test_a_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = blocks("Adding a rule of the vote")
    monkeypatch.setitem(pooling.RULES, "linear", defined(block, pooling, "linear"))
    kind = create_model("Settings", __base__=Settings, vote=(str, "log_linear"))
    monkeypatch.setattr(mire.settings, "Settings", kind)
    settings = load_settings("nano", ["vote=linear", "folds=2"])
    panel, taxonomy = PanelFolder(tmp_path), builtin_taxonomy("dialogue")
    panel.claim(settings)
    panel.write_taxonomy(taxonomy)
    labels = {str(number): taxonomy.labels[number % 2] for number in range(20)}
    for name in settings.panel.voters("dialogue"):
        rows = [tuple(0.7 if place == number % 2 else 0.3 / 22 for place in range(23)) for number in range(20)]
        votes = [Vote(name, str(number), row) for number, row in enumerate(rows)]
        write_votes(panel.votes("dialogue", name), votes, labels, taxonomy=taxonomy, cost=Cost(0, 0))
        panel.voter("dialogue", name).mkdir()
    assert run(fit, ["--panel", str(tmp_path), "--task", "dialogue"]) == 0
    assert json.loads(panel.weights("dialogue").read_text())["method"] == "linear"
    capsys.readouterr()
    assert run(rules, ["--panel", str(tmp_path)]) == 0
    compared = json.loads(capsys.readouterr().out.splitlines()[-1])["dialogue"]
    assert {row["rule"]: row["f1"] for row in compared}["linear"] == 1


def test_a_base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shape = model_sizes.base_shape("nano")
    (tmp_path / "Qwen--Qwen2-VL-2B-Instruct.json").write_text(json.dumps(shape))
    monkeypatch.setattr(model_sizes, "_BASES", tmp_path)
    known = model_sizes.count_base(Qwen2VL(base="Qwen/Qwen2-VL-2B-Instruct"))
    (tmp_path / "nano.json").write_text(json.dumps(shape))
    assert known == model_sizes.count_base(Qwen2VL(base="nano"))


def test_a_metric(
    write_json: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (block,) = blocks("Adding a metric")
    monkeypatch.setitem(mire.metrics.METRICS, "worst_label_f1", defined(block, mire.metrics, "worst_label_f1"))
    records = [
        {"id": str(number), "instruction": image_instruction(), "output": label, "image": ["a"]}
        for number, label in enumerate("aabb")
    ]
    (tmp_path / "s.csv").write_text("id,predict\n0,a\n1,b\n2,b\n3,b\n", encoding="utf-8")
    assert run(score, ["--truth", str(write_json(records)), "--submission", str(tmp_path / "s.csv")]) == 0
    # a: precision 1, recall 1/2; b: precision 2/3, recall 1
    assert json.loads(capsys.readouterr().out)["worst_label_f1"] == pytest.approx(2 / 3)
