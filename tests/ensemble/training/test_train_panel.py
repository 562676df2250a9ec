"""A training that stops half-way, by voters that are not really trained."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ensemble.training import train_panel
from mire.panel_folder import PanelFolder
from mire.settings import load_settings


def test_a_task_that_is_trained_again_does_not_count_until_that_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, panel = load_settings("cpu"), PanelFolder(tmp_path / "p")
    panel.claim(settings)
    panel.write_taxonomy(settings.taxonomy("image"))
    for voter in settings.panel.voters("image"):
        panel.voter("image", voter).mkdir()
    panel.weights("image").write_text("{}")
    assert panel.has("image")

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(train_panel, "_train_in_folds", stop)
    known: Any = SimpleNamespace(task="image", panel=panel, settings=settings, samples=[], inside=lambda fold: [])
    with pytest.raises(KeyboardInterrupt):
        train_panel.train_task(known, launch=SimpleNamespace())
    assert not panel.has("image")
