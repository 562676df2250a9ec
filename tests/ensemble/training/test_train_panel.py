"""What a training says of its labels, and that it leaves the panel's experts until its own are whole."""

import json
import logging
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ensemble.training import train_panel
from mire.labels import Draft, Label, Taxonomy
from mire.panel_folder import PanelFolder
from mire.prompts import parse_prompt
from mire.samples import Sample
from mire.votes import Vote


@pytest.fixture
def again(tiny_set: Path, tiny_panel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Training the tiny panel's dialogue task once more, up to where the first voter would be trained."""

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(train_panel, "_train_in_folds", stop)
    monkeypatch.setattr(train_panel.Launch, "choose", lambda *_: SimpleNamespace(n_processes=1))
    panel = PanelFolder(shutil.copytree(tiny_panel, tmp_path / "panel"))

    def train(records: list[Any]) -> PanelFolder:
        (tmp_path / "d.json").write_text(json.dumps(records))
        files = {"data": tmp_path / "d.json", "images": tiny_set / "images"}
        with pytest.raises(KeyboardInterrupt):
            train_panel.train_panel(("dialogue",), panel=panel, settings=panel.settings(), **files)
        return panel

    return train, json.loads((tiny_set / "train.json").read_text(encoding="utf-8"))


def test_a_stopped_training_leaves_the_old_experts(again: Any) -> None:
    train, records = again
    panel = train(records)
    assert panel.trained_tasks() == ("image", "dialogue")
    assert panel.beside("dialogue").has("dialogue"), "it goes on with a copy"


def test_labels_that_are_missing_are_named(again: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="ensemble.training.train_panel")
    train, records = again
    train([record for record in records if record["output"] != "适用季节"])
    # Two of the taxonomy's 23 labels are left; of the 21 others eight are named.
    assert caplog.messages[0].startswith("dialogue: 8 samples, 2 of 23 labels: missing ")
    assert caplog.messages[0].endswith("; and 13 more; training dialogue_text")


def cast(answers: dict[str, str]) -> list[Vote | None]:
    """A sure vote for each sample's label, by sample id; none where the label is empty."""
    return [
        Vote("v", key, (float(label == "甲"), float(label == "乙"))) if label else None
        for key, label in answers.items()
    ]


@pytest.mark.parametrize(
    ("bare", "without", "low"),
    [
        # 甲: 3 guesses, 2 of them right, of 2 samples. 乙: 1 guess, right, of 2 samples.
        ({"d": "甲", "a": "甲", "b": "甲", "c": "乙", "e": "乙"}, (2 * 2 / (3 + 2) + 2 * 1 / (1 + 2)) / 2, 0.0),
        ({"d": "乙", "a": "甲", "b": "甲", "c": "乙", "e": ""}, 1.0, 0.0),
        # Every resample has F1 0 without the drafts, and 1 with them.
        ({"d": "甲", "a": "乙", "b": "乙", "c": "甲", "e": "甲"}, 0.0, 1.0),
    ],
)
def test_what_drafts_add_is_the_difference_on_the_samples_that_both_sides_vote_on(
    bare: dict[str, str], without: float, low: float, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="ensemble.training.train_panel")
    truth = {"a": "甲", "b": "甲", "c": "乙", "d": "乙", "e": "甲"}
    samples = [Sample(key, parse_prompt("用户: 在吗"), label=label) for key, label in truth.items()]
    taxonomy = Taxonomy(
        "dialogue", tuple(Label(name=name, drafts=(Draft(speaker="user", text=name),)) for name in "甲乙")
    )
    known: Any = SimpleNamespace(
        task="dialogue", samples=samples, settings=SimpleNamespace(taxonomy=lambda task: taxonomy)
    )
    asked: list[Any] = []

    def vote(*arguments: Any) -> list[Vote | None]:
        asked.append(arguments)
        return cast(bare)

    monkeypatch.setattr(train_panel, "_vote_in_folds", vote)
    # Votes come fold by fold, not in the samples' order; "e" has none with the drafts.
    found = train_panel._gain_of_drafts("v", known, cast({"d": "乙", "a": "甲", "b": "甲", "c": "乙", "e": ""}))
    assert asked == [("v", known, taxonomy.without_drafts())]
    assert (found.f1, found.without) == pytest.approx((1.0, without))
    assert found.low == pytest.approx(low) and low <= found.high <= 1
    assert caplog.messages == [f"dialogue: v has out of fold F1 1.000 with the drafts, {without:.3f} without"]
