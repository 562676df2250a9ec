"""Panels that are damaged or contain code: refused before anything is loaded."""

import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from bench import Bench, error_line

from ensemble import ablate, fit, threshold, train
from ensemble.panel import Panel
from ensemble.voting.oof_votes import read_out_of_fold_votes
from ensemble.voting.weights import read_weights
from mire.cli import run
from mire.errors import DataError, PanelError
from mire.labels import TASKS
from mire.panel_folder import PanelFolder


@pytest.fixture
def panel(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MIRE_CACHE", str(bench.root / "cache"))
    return Path(shutil.copytree(bench.panel, tmp_path / "panel"))


class Bomb:
    """Unpickled, it leaves a file behind."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.mark,)


def test_the_bomb_is_live(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Bomb(tmp_path / "ran")))
    assert (tmp_path / "ran").exists()


def test_a_pipe_among_a_panels_files_is_refused_and_not_waited_for(panel: Path) -> None:
    (panel / "dialogue/dialogue_text/linear.skops").unlink()
    os.mkfifo(panel / "dialogue/dialogue_text/linear.skops")
    with pytest.raises(DataError, match="linear.skops must be a plain file, but it is a pipe"):
        Panel.load(panel)


@pytest.mark.parametrize("entry", ['"temperature": NaN', '"temperature": 0', '"weight": -1', '"weight": Infinity'])
def test_weights_that_are_no_weights_are_refused(tmp_path: Path, entry: str) -> None:
    (tmp_path / "weights.json").write_text(f'{{"voters": {{"dialogue_text": {{{entry}}}}}}}')
    with pytest.raises(PanelError, match="weights.json is broken: Input should be "):
        read_weights(tmp_path / "weights.json")


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("image/clip_lightgbm/model.pkl", "may be a pickle, which can run any code"),
        ("dialogue/dialogue_text/linear.joblib", "may be a pickle, which can run any code"),
        ("image/qwen2vl/adapter_model.bin", "may be a pickle, which can run any code"),
        ("votes.PT", "may be a pickle, which can run any code"),
        ("dialogue/dialogue_text/linear.skops", "dialogue_text cannot be read: "),
        ("dialogue/dialogue_text/meta.json", "dialogue_text cannot be read: "),
        ("dialogue/dialogue_text/lexicon.json", "dialogue_text cannot be read: "),
        ("image/clip_lightgbm/model.txt", "model.txt is not a complete LightGBM text file"),
        ("image/weights.json", "weights.json is broken"),
        ("image/taxonomy.json", "taxonomy.json is not a taxonomy"),
        ("settings.json", "settings.json"),
    ],
)
def test_a_planted_pickle_is_refused_and_never_run(panel: Path, tmp_path: Path, place: str, message: str) -> None:
    (panel / place).parent.mkdir(exist_ok=True)
    (panel / place).write_bytes(pickle.dumps(Bomb(tmp_path / "ran")))
    with pytest.raises(Exception, match=message) as caught:
        Panel.load(panel, TASKS)
    assert type(caught.value).__module__ == "mire.errors"
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("number", [float("nan"), float("-inf")])
@pytest.mark.parametrize("spoil", ["coefficient", "idf", "option"])
def test_a_skops_file_with_numbers_that_are_none_is_refused(panel: Path, spoil: str, number: float) -> None:
    import skops.io

    path = panel / "dialogue/dialogue_text/linear.skops"
    parts = skops.io.load(path, trusted=[])
    vectorizer = parts["vectorizers"]["question"]
    if spoil == "option":
        vectorizer.max_df = number
    else:
        numbers = parts["linear"].coef_ if spoil == "coefficient" else vectorizer.idf_
        numbers.flat[1] = number
    skops.io.dump(parts, path)
    with pytest.raises(PanelError, match="linear.skops holds numbers that are infinite or none; copy the panel again"):
        Panel.load(panel, ["dialogue"])


def test_a_skops_file_with_a_foreign_type_is_refused(panel: Path, tmp_path: Path) -> None:
    import skops.io

    skops.io.dump({"linear": Bomb(tmp_path / "ran")}, panel / "dialogue/dialogue_text/linear.skops")
    with pytest.raises(PanelError, match="dialogue_text cannot be read: .*Bomb"):
        Panel.load(panel, TASKS)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "place",
    ["dialogue/dialogue_text/linear.skops", "image/clip_lightgbm/model.txt", "image/clip_lightgbm/meta.json",
     "image/weights.json", "image/taxonomy.json", "settings.json"],
)  # fmt: skip
@pytest.mark.parametrize("damage", ["missing", "empty", "half"])
def test_a_damaged_panel_is_one_line(panel: Path, place: str, damage: str) -> None:
    whole = (panel / place).read_bytes()
    (panel / place).unlink()
    if damage != "missing":
        (panel / place).write_bytes(whole[: len(whole) // 2] if damage == "half" else b"")
    with pytest.raises(Exception, match=Path(place).parts[-1].split(".")[0] + "|cannot be read|holds no") as caught:
        Panel.load(panel, TASKS)
    assert type(caught.value).__module__ == "mire.errors"
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_the_command_prints_one_error_line(bench: Bench, panel: Path, tmp_path: Path) -> None:
    (panel / "image" / "extra.pkl").write_bytes(pickle.dumps(Bomb(tmp_path / "ran")))
    done = bench.predict(tmp_path / "s.csv", panel=panel)
    assert done.returncode == 1
    assert error_line(done).startswith(f"error: {panel / 'image' / 'extra.pkl'} may be a pickle")
    assert not (tmp_path / "ran").exists() and not (tmp_path / "s.csv").exists()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"labels": []}', '{"x": {"fold": "a"}}'])
@pytest.mark.parametrize("place", ["votes/dialogue_text.json", "folds.json"])
def test_a_broken_file_of_the_training_is_one_line(
    bench: Bench, panel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], place: str, content: str
) -> None:
    (panel / "dialogue" / place).write_text(content)
    usual = ["--data", str(bench.data), "--images", str(bench.images), "--panel", str(panel)]
    assert run(ablate, [*usual, "--out", str(tmp_path / "a")]) == 1
    said = capsys.readouterr().err
    assert f"{panel / 'dialogue' / place} is broken: " in said and said.count("\n") == 1


@pytest.mark.parametrize(
    ("door", "options", "place"),
    [
        (fit, ["--task", "image"], "image/weights.json"),
        (threshold, ["--precision", "0.5"], "image/thresholds.json"),
        (train, ["image"], "settings.json"),
    ],
)
def test_nothing_is_written_through_a_link_of_a_panel(
    bench: Bench,
    panel: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    door: ModuleType,
    options: list[str],
    place: str,
) -> None:
    link, target = panel / place, tmp_path / "target"
    target.write_bytes(link.read_bytes() if link.is_file() else b"mine")
    before = target.read_bytes()
    link.unlink(missing_ok=True)
    link.symlink_to(target)
    data = ["--data", str(bench.data), "--images", str(bench.images), "--config", str(bench.root / "tiny.yaml")]
    assert run(door, [*options, "--panel", str(panel), *(data if door is train else ())]) == 1
    assert f"{place} lies behind a link that leads to no file of" in capsys.readouterr().err
    assert target.read_bytes() == before and link.is_symlink()


@pytest.mark.parametrize(
    ("vote", "reason"),
    [
        ({"label": "没有的", "probabilities": [1 / 23] * 23}, "sample 'x' has another label, or not one probability"),
        ({"label": "是否会生锈", "probabilities": [1.0]}, "sample 'x' has another label, or not one probability"),
        ({"label": "是否会生锈", "probabilities": [float("nan")] * 23}, "Input should be a finite number"),
    ],
)
def test_votes_that_fit_no_label_or_are_no_numbers_are_refused(
    panel: Path, vote: dict[str, object], reason: str
) -> None:
    path = PanelFolder(panel).votes("dialogue", "dialogue_text")
    body = json.loads(path.read_text(encoding="utf-8"))
    body["votes"]["x"] = vote
    path.write_text(json.dumps(body), encoding="utf-8")
    with pytest.raises(PanelError, match=f"is broken: .*{reason}"):
        read_out_of_fold_votes(PanelFolder(panel), "dialogue")


@pytest.mark.parametrize(
    "place",
    ["megatron_core.py", "image/lightgbm.PY", "image/clip_lightgbm/x.so", "dialogue/run.sh", "x.pyc", "setup.exe", "x"],
)  # fmt: skip
def test_code_in_a_panel_is_refused(panel: Path, place: str) -> None:
    (panel / place).write_bytes(b"raise SystemExit('ran')")
    with pytest.raises(PanelError, match="is no file of a panel, and may be code; remove it"):
        Panel.load(panel, TASKS)


def test_what_a_training_and_people_leave_in_a_panel_is_no_code(panel: Path) -> None:
    for place in ("image/checkpoints/rng_state.pth", "image/logs/events.out.tfevents.1", "report.html", "submit.csv"):
        (panel / place).parent.mkdir(parents=True, exist_ok=True)
        (panel / place).write_bytes(b"x")
    Panel.load(panel)


@pytest.mark.slow
def test_nothing_is_imported_from_the_working_directory(tmp_path: Path) -> None:
    for name in ("megatron_core", "lightgbm", "peft"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('ran')")
    root = Path(__file__).parent.parent.parent
    code = "from mire.cli import start_process; start_process(); import lightgbm; print(lightgbm.__version__)"
    for path in ("", str(tmp_path), "."):
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(root), path])},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0 and done.stdout[0].isdigit(), done.stderr
