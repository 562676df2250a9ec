"""Examples that are given to a trained panel: what is refused, and a new label from the command to the answer."""

import csv
import json
import shutil
from pathlib import Path

import pytest

from ensemble import export, predict, train
from ensemble.labels import __main__ as labels
from ensemble.labels import add
from ensemble.panel import Panel
from experts.qwen2vl.nano import build_nano
from mire.budget import Ledger
from mire.cli import run
from mire.panel_card import read_card
from mire.panel_folder import PanelFolder

WITH_NEIGHBOURS = """
name: tiny
folds: 2
panel: {{image: [clip_lightgbm], dialogue: [qwen2vl, neighbours, dialogue_text]}}
dialogue_text: {{template_weight: 0, turn_weight: 0}}
neighbours: {{temperature: 0.001}}
qwen2vl: {{base: {base}, layout: compact, max_tokens: 128, lora: {{rank: 2}},
  dialogue: {{epochs: 2, learning_rate: 1e-2, warmup: 0, batch_size: 4}}}}
taxonomies: {{dialogue: {taxonomy}}}
"""


def dialogues(tiny_set: Path, path: Path, *, label: str | None = None, without: bool = False) -> Path:
    """The tiny set's dialogues of one label, or all but those."""
    records = json.loads((tiny_set / "train.json").read_text(encoding="utf-8"))
    kept = [each for each in records if not each["image"] and (label is None or (each["output"] == label) != without)]
    path.write_text(json.dumps(kept, ensure_ascii=False), encoding="utf-8")
    return path


def with_neighbours(tiny_panel: Path, root: Path) -> PanelFolder:
    """A copy of the tiny panel that claims two more voters for dialogues; nothing can be loaded."""
    panel = PanelFolder(shutil.copytree(tiny_panel, root))
    settings = json.loads((root / "settings.json").read_text(encoding="utf-8"))
    settings["panel"]["dialogue"] = ["qwen2vl", "neighbours", "dialogue_text"]
    (root / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    for name in ("qwen2vl", "neighbours"):
        panel.voter("dialogue", name).mkdir()
    return panel


def test_what_cannot_be_added_is_one_line(
    tiny_panel: Path, tiny_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = dialogues(tiny_set, tmp_path / "more.json")
    arguments = ["add", "--panel", str(tiny_panel), "--data", str(data)]
    assert run(labels, arguments) == 1
    expected = f"error: {tiny_panel} has no dialogue voter that takes examples; train it with one of neighbours\n"
    assert capsys.readouterr().err == expected
    panel = with_neighbours(tiny_panel, tmp_path / "p")
    for output, message in (("", "needs a label in 'output'"), ("旧标签", "'旧标签' is disabled")):
        records = json.loads(data.read_text(encoding="utf-8"))
        records[1]["output"] = output
        data.write_text(json.dumps(records), encoding="utf-8")
        taxonomy = json.loads((panel.task("dialogue") / "taxonomy.json").read_text(encoding="utf-8"))
        taxonomy["labels"] = [each for each in taxonomy["labels"] if each["name"] != "旧标签"]
        taxonomy["labels"].append({"name": "旧标签", "live": False})
        (panel.task("dialogue") / "taxonomy.json").write_text(json.dumps(taxonomy), encoding="utf-8")
        assert run(labels, ["add", "--panel", str(panel.root), "--data", str(data)]) == 1
        assert f"record 2, id '0004': {message}; correct it, or leave it out" in capsys.readouterr().err


def test_voters_that_do_not_learn_a_new_label_are_named(
    tiny_panel: Path,
    tiny_set: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(add, "_grow", lambda *_: None)
    panel = with_neighbours(tiny_panel, tmp_path / "p")
    data = dialogues(tiny_set, tmp_path / "more.json", label="适用季节")
    assert run(labels, ["add", "--panel", str(panel.root), "--data", str(data)]) == 0
    assert capsys.readouterr().err == "dialogue: 4 examples added; no new label\n"
    data.write_text(data.read_text(encoding="utf-8").replace('"output": "适用季节"', '"output": "刻字"'), "utf-8")
    for said in ("new labels: 刻字", "no new label"):
        assert run(labels, ["add", "--panel", str(panel.root), "--data", str(data)]) == 0
        assert capsys.readouterr().err.splitlines() == [
            f"dialogue: 4 examples added; {said}",
            "dialogue: not known to qwen2vl, dialogue_text: 刻字; to teach them, add these labels to the taxonomy and "
            "train again on the samples of all labels",
        ]


@pytest.mark.slow
def test_a_new_label_is_answered_without_training(
    tiny_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MIRE_CACHE", str(tmp_path / "cache"))
    build_nano(tmp_path / "base", n_steps=0)
    names = ["是否会生锈", "何时上货"]
    taxonomy = {"task": "dialogue", "labels": [{"name": name} for name in names]}
    (tmp_path / "dialogue.json").write_text(json.dumps(taxonomy), encoding="utf-8")
    config = WITH_NEIGHBOURS.format(base=tmp_path / "base", taxonomy=tmp_path / "dialogue.json")
    (tmp_path / "c.yaml").write_text(config)
    known = dialogues(tiny_set, tmp_path / "known.json", label="适用季节", without=True)
    panel = PanelFolder(tmp_path / "p")
    arguments = ["--data", str(known), "--panel", str(panel.root), "--config", str(tmp_path / "c.yaml")]
    assert run(train, ["dialogue", *arguments]) == 0
    samples = panel.read_samples(dialogues(tiny_set, tmp_path / "all.json"), tiny_set / "images")
    before = Panel.load(panel.root).predict(samples, Ledger())
    assert {answer.n_calls for answer in before} == {1} and {len(answer.votes) for answer in before} == {3}
    votes = json.loads(panel.votes("dialogue", "neighbours").read_text(encoding="utf-8"))
    assert votes["cost"] == {"calls": 0, "output_tokens": 0} and len(votes["votes"]) == 4, "one fold of two"

    assert (read_card(panel, "dialogue") or pytest.fail()).milliseconds.keys() == {
        answer.voter for answer in before[0].votes
    }

    capsys.readouterr()
    new = dialogues(tiny_set, tmp_path / "new.json", label="适用季节")
    assert run(labels, ["add", "--panel", str(panel.root), "--data", str(new)]) == 0
    assert capsys.readouterr().err.splitlines()[-2:] == [
        "dialogue: 4 examples added; new labels: 适用季节",
        "dialogue: not known to qwen2vl, dialogue_text: 适用季节; to teach them, add these labels to the taxonomy and "
        "train again on the samples of all labels",
    ]
    assert panel.previous("dialogue").is_dir() and not panel.beside("dialogue").root.exists()
    assert panel.answered("dialogue").labels == (*names, "适用季节") and panel.taxonomy("dialogue").labels == (*names,)
    assert (read_card(panel, "dialogue") or pytest.fail()).added == {"适用季节": 4}
    assert "added later: 适用季节 (examples: 4)" in (panel.root / "README.md").read_text(encoding="utf-8")
    after = Panel.load(panel.root).predict(samples, Ledger())
    assert [answer.label for answer in after if answer.label == "适用季节"]
    for old, grown in zip(before, after, strict=True):
        assert (grown.votes[0].probabilities, grown.n_calls) == ((*old.votes[0].probabilities, 0.0), 1)
        left = 1 - grown.probabilities[-1]
        share = [each / left for each in grown.probabilities[:-1]]
        assert left > 0 and share == pytest.approx(old.probabilities, abs=1e-3), "the rest is divided as before"

    # More examples of the label count as well; an export, which looks for the base where it is used, answers alike.
    assert run(labels, ["add", "--panel", str(panel.root), "--data", str(new)]) == 0
    assert (read_card(panel, "dialogue") or pytest.fail()).added == {"适用季节": 8}
    assert run(export, ["--panel", str(panel.root), "--out", str(tmp_path / "out")]) == 0
    monkeypatch.chdir(tmp_path)
    assert run(predict, ["--data", str(new), "--panel", str(tmp_path / "out"), "--out", str(tmp_path / "s.csv")]) == 0
    with (tmp_path / "s.csv").open(encoding="utf-8-sig", newline="") as file:
        assert [row["predict"] for row in csv.DictReader(file)] == ["适用季节"] * 4
