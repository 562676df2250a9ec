"""What a training says of its labels, and that it leaves the panel's experts until its own are whole."""

import json
import logging
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ensemble.training import train_panel
from mire.panel_folder import PanelFolder


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
