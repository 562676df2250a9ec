"""The parent of a training: it holds no model, and no memory of the GPU, while a process trains."""

import weakref
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ensemble.training import adapters
from ensemble.training.accelerate_launch import Launch
from mire.budget import Cost
from mire.panel_folder import PanelFolder
from mire.settings import load_settings


class Model:
    """Refers to itself, as PEFT's models do."""

    def __init__(self) -> None:
        self.me = self


@pytest.fixture
def emptied(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What happened, in order: the GPU's memory was given back, a process started."""
    happened: list[str] = []
    monkeypatch.setattr("torch.cuda.empty_cache", lambda: happened.append("emptied"))
    monkeypatch.setattr(adapters, "run_side_by_side", lambda *_: happened.append("trains") or [0])
    return happened


def test_a_fold_s_expert_is_gone_when_its_votes_are_cast(emptied: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[weakref.ref[Model]] = []

    def load(known: Any, fold: int) -> Any:
        model = Model()
        made.append(weakref.ref(model))
        return SimpleNamespace(vote=lambda samples, model=model: [None] * len(samples), cost=Cost(1, 2))

    monkeypatch.setattr(adapters, "load_fold_voter", load)
    known: Any = SimpleNamespace(outside=lambda fold: range(3))
    assert adapters._cast(known, 0) == ([None] * 3, Cost(1, 2))
    assert made[0]() is None and emptied == ["emptied"]


def test_a_continued_adapter_starts_from_the_first_fold_s_once_that_has_voted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    happened: list[list[str]] = []
    monkeypatch.setattr(adapters, "run_side_by_side", lambda _, jobs: happened.append(jobs[0][8:]) or [0])
    monkeypatch.setattr(adapters, "_cast", lambda known, fold: (happened.append(["votes"]) or [], Cost(1, 2)))
    settings = load_settings("nano", ["qwen2vl.final=continue", "qwen2vl.image.epochs=10", "folds=5"])
    known: Any = SimpleNamespace(task="image", panel=PanelFolder(tmp_path), settings=settings, data="d", images="i")
    adapters.train_adapters(known, Launch("ddp", (), 1))
    final, first = known.panel.voter("image", "qwen2vl"), str(known.panel.fold_voter("image", "qwen2vl", 0))
    assert happened == [
        ["--out", first, "--fold", "0"],
        ["votes"],
        ["--out", str(final), "--epochs", "2.0", "--start", first],
    ]


def test_what_the_parent_trained_is_gone_before_a_process_trains(emptied: list[str]) -> None:
    adapters._run("image", [Launch("ddp", (), 1)], [[]])
    assert emptied == ["emptied", "trains"]
