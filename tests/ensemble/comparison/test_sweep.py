"""Runs of a sweep: what is planned, what is trained, what is finished already."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from ensemble import sweep as door
from ensemble.comparison import sweep as sweeping
from ensemble.comparison.sweep import Run, plan, sweep
from mire.cli import run
from mire.errors import PanelError, SettingsError, UsageError
from mire.settings import Settings


def planned(panel: Path, out: Path, *named: list[str], seeds: tuple[int, ...] = ()) -> list[Run]:
    return plan(named, out, config=str(panel.parent / "tiny.yaml"), overrides=["vote=majority"], seeds=seeds)


@pytest.fixture
def trained(tiny_panel: Path, monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """The settings of each training that was asked for; each gives the tiny panel."""
    asked: list[Settings] = []

    def train(*_: Any, panel: Any, settings: Settings, **__: Any) -> None:
        asked.append(settings)
        if settings.seed == 13:
            raise PanelError("training failed")
        shutil.copytree(tiny_panel, panel.root, dirs_exist_ok=True)

    monkeypatch.setattr(sweeping, "train_panel", train)
    return asked


def test_every_run_has_every_seed(tiny_panel: Path, tmp_path: Path) -> None:
    runs = planned(tiny_panel, tmp_path, ["base"], ["three", "folds=3", "clip.trees.rounds=5"], seeds=(7, 1, 7))
    assert [run.panel.root.relative_to(tmp_path).as_posix() for run in runs] == [
        "base/seed-7", "base/seed-1", "three/seed-7", "three/seed-1",
    ]  # fmt: skip
    assert [(run.settings.folds, run.settings.seed, run.settings.vote) for run in runs[1:3]] == [
        (2, 1, "majority"), (3, 7, "majority"),
    ]  # fmt: skip
    (only,) = planned(tiny_panel, tmp_path, ["own", "seed=3"])
    assert only.panel.root.name == "seed-3"


def test_faults_are_told_before_any_training(tiny_panel: Path, tmp_path: Path) -> None:
    for names in (["folds=3"], ["../x"], [""]):
        with pytest.raises(UsageError, match="a name is unique, of letters"):
            planned(tiny_panel, tmp_path, names)
    with pytest.raises(UsageError, match="got 'a'"):
        planned(tiny_panel, tmp_path, ["a"], ["a", "folds=3"])
    with pytest.raises(SettingsError, match="folds"):
        planned(tiny_panel, tmp_path, ["a"], ["b", "folds=1"])


def test_finished_runs_are_kept(tiny_panel: Path, tmp_path: Path, trained: list[Settings]) -> None:
    data = tmp_path / "data.json"
    data.write_text("[]")

    def swept(*named: list[str]) -> int:
        before = len(trained)
        systems = sweep(("image",), planned(tiny_panel, tmp_path, *named, seeds=(7, 1)), tmp_path, data=data)
        assert [(system.name, len(system.runs)) for system in systems] == [(name, 2) for name, *_ in named]
        return len(trained) - before

    assert swept(["base"]) == 2
    assert swept(["base"], ["more", "clip.trees.rounds=5"]) == 2, "what is new is trained"
    told = json.loads((tmp_path / "sweep.json").read_text(encoding="utf-8"))
    assert told["more/seed-1"]["overrides"] == ["clip.trees.rounds=5"]
    assert told["more/seed-1"]["asked"] != told["base/seed-1"]["asked"]
    (tmp_path / "base" / "seed-7" / "image" / "weights.json").unlink()
    assert swept(["base"]) == 1, "its panel is not whole"
    data.write_text("[ ]")
    assert swept(["base"]) == 2, "the data changed"


def test_what_was_finished_before_a_failure_stays(tiny_panel: Path, tmp_path: Path, trained: list[Settings]) -> None:
    data = tmp_path / "data.json"
    data.write_text("[]")
    runs = planned(tiny_panel, tmp_path, ["base"], seeds=(7, 13))
    for n_trained in (2, 3):
        with pytest.raises(PanelError, match="training failed"):
            sweep(("image",), runs, tmp_path, data=data)
        assert len(trained) == n_trained


@pytest.mark.slow
def test_a_sweep_ends_in_a_table(
    tiny_set: Path,
    tiny_panel: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MIRE_CACHE", str(tmp_path / "cache"))
    data, config = ["--data", str(tiny_set / "train.json")], ["--config", str(tiny_panel.parent / "tiny.yaml")]
    runs = ["--run", "base", "--run", "user", "dialogue_text.question_weight=2", "--seeds", "7", "1"]
    images = ["--images", str(tiny_set / "images")]
    line = ["dialogue", *data, *images, *config, *runs, "--out", str(tmp_path / "out")]
    assert run(door, line) == 0
    seen = capsys.readouterr()
    assert "no setting of its own" in seen.err and "was finished before" not in seen.err
    _, base, user, _, verdict = seen.out.splitlines()
    assert base.split()[:4] == ["dialogue", "base", "12", "2"] and user.split()[1] == "user"
    assert verdict
    assert {"compare.csv", "compare.md", "compare.tex", "compare.svg", "compare.pdf", "sweep.json", "base", "user"} == {
        path.name for path in (tmp_path / "out").iterdir()
    }
    assert run(door, line) == 0
    again = capsys.readouterr()
    assert again.err.count("was finished before") == 4
    assert again.out == seen.out
