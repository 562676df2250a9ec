"""The parent of a training: it holds no model, and no memory of the GPU, while a process trains."""

import weakref
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ensemble.training import adapters, pseudo_labels
from ensemble.training.accelerate_launch import Launch
from ensemble.voting.weights import Weights
from mire.budget import Cost
from mire.labels import Label, Taxonomy
from mire.panel_folder import PanelFolder
from mire.prompts import parse_prompt
from mire.samples import Sample
from mire.settings import Training, load_settings
from mire.votes import Vote


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
    assert adapters._cast(known, 1)[:2] == ([None] * 3, Cost(1, 2))
    assert made[0]() is None and emptied == ["emptied"]


def test_a_continued_adapter_starts_from_the_first_fold_s_once_that_has_voted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    happened: list[list[str]] = []
    monkeypatch.setattr(adapters, "run_side_by_side", lambda _, jobs: happened.append(jobs[0][8:]) or [0])
    monkeypatch.setattr(adapters, "_cast", lambda known, fold: (happened.append(["votes"]) or [], Cost(1, 2), None))
    settings = load_settings("nano", ["qwen2vl.final=continue", "qwen2vl.image.epochs=10", "folds=5"])
    known: Any = SimpleNamespace(task="image", panel=PanelFolder(tmp_path), settings=settings, data="d", images="i")
    adapters.train_adapters(known, Launch("ddp", (), 1))
    final, first = known.panel.voter("image", "qwen2vl"), str(known.panel.fold_voter("image", "qwen2vl", 0))
    assert happened == [
        ["--out", first, "--fold", "0"],
        ["votes"],
        ["--epochs", "2.0", "--start", first, "--out", str(final)],
    ]


def test_several_seeds_continue_one_adapter_side_by_side_and_are_averaged(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    happened: list[Any] = []
    monkeypatch.setattr(adapters, "run_side_by_side", lambda _, jobs: happened.append(jobs) or [0] * len(jobs))
    monkeypatch.setattr(adapters, "_cast", lambda known, fold: ([], Cost(1, 2), None))
    monkeypatch.setattr(adapters, "merge_adapters", lambda *arguments: happened.append(arguments))
    changes = ["final=continue", "final_seeds=3", "image.epochs=10"]
    settings = load_settings("nano", [f"qwen2vl.{change}" for change in changes] + ["folds=5", "seed=4"])
    known: Any = SimpleNamespace(task="image", panel=PanelFolder(tmp_path), settings=settings, data="d", images="i")
    adapters.train_adapters(known, Launch("ddp", (), 1, n_cores=2))
    final = known.panel.voter("image", "qwen2vl")
    further = ["--epochs", "2.0", "--start", str(final / "folds" / "0")]
    seeds = [final / "seeds" / str(seed) for seed in (4, 5, 6)]
    jobs = [[*further, "--out", str(out), "--seed", out.name] for out in seeds]
    assert [[job[8:] for job in group] for group in happened[1:3]] == [jobs[:2], jobs[2:]]
    assert happened[3:] == [(seeds, final)]


def test_what_the_parent_trained_is_gone_before_a_process_trains(emptied: list[str]) -> None:
    adapters._run("image", Launch("ddp", (), 1), Training(), [[]])
    assert emptied == ["emptied", "trains"]


STATES = {"a": (1, 0), "b": (0, 1), "x": (1, 0)}
"""Of two training samples, and of one that is held out and like the first."""


@pytest.fixture
def followed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A training set whose adapters give the states above; ``asked`` lists the folds of those that were loaded."""
    samples = {name: Sample(name, parse_prompt(f"用户: {name}"), label=name) for name in STATES}
    asked: list[int | None] = []

    def vote(some: list[Sample]) -> list[Vote]:
        states = [np.array(STATES[sample.id], dtype=np.float32) for sample in some]
        return [Vote("qwen2vl", sample.id, (1.0, 0.0), state=state) for sample, state in zip(some, states, strict=True)]

    def load(known: Any, fold: int | None) -> Any:
        asked.append(fold)
        return SimpleNamespace(name="qwen2vl", vote=vote, cost=Cost(1, 2))

    for module in (adapters, pseudo_labels):
        monkeypatch.setattr(module, "load_fold_voter", load)
    taxonomy = Taxonomy("dialogue", (Label(name="a"), Label(name="b")))
    return SimpleNamespace(
        task="dialogue",
        settings=load_settings("nano", ["panel.dialogue=[qwen2vl, neighbours]"]),
        panel=SimpleNamespace(taxonomy=lambda task: taxonomy, weights=lambda task: None),
        inside=lambda fold: [samples["a"], samples["b"]],
        outside=lambda fold: [samples["x"]],
        asked=asked,
    )


def test_a_follower_s_fold_is_voted_on_with_the_states_of_the_fold_s_adapter(followed: Any) -> None:
    (vote,) = adapters._follow("neighbours", followed, 0)
    # e to the power of 50 : 1
    assert vote and (vote.voter, vote.probabilities[0]) == ("neighbours", pytest.approx(1, abs=1e-8))
    assert followed.asked == [0]


def test_who_guesses_for_a_fold_has_a_follower_of_that_fold(followed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pseudo_labels, "read_weights", lambda path: Weights(voters={}))
    voters = pseudo_labels._panel_without(0, followed).tasks["dialogue"].voters
    assert [voter.name for voter in voters] == ["qwen2vl", "neighbours"] and followed.asked == [0]
    assert pseudo_labels._panel_without(1, followed).tasks["dialogue"].voters == ()
