"""Damaged LightGBM texts: refused in one line before the library, which would end the process, sees them."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import lightgbm
import numpy as np
import pytest
from bench import Bench, error_line, finish, rows

from ensemble.panel import Panel
from experts.trees import load_trees, save_trees
from mire.errors import PanelError

N_CLASSES = 4


@pytest.fixture(scope="module")
def booster() -> lightgbm.Booster:
    """Three rounds of four classes, one of which has no sample and so trees of one leaf."""
    rng = np.random.default_rng(0)
    labels = rng.choice([0, 1, 3], 60)
    parameters = {"objective": "multiclass", "num_class": N_CLASSES, "verbosity": -1, "num_leaves": 4, "num_threads": 1}
    return lightgbm.train(parameters, lightgbm.Dataset(rng.normal(size=(60, 5)), label=labels), num_boost_round=3)


def instead(old: str, new: str) -> Callable[[str], str]:
    """An edit of the first line that fits, its tree's size in the header kept true."""

    def edit(text: str) -> str:
        found = re.search(old, text, re.MULTILINE)
        assert found, old
        changed = text[: found.start()] + found.expand(new) + text[found.end() :]
        number = text[: found.start()].count("\nTree=") - 1
        sizes = re.search(r"^tree_sizes=(.*)$", changed, re.MULTILINE)
        if number < 0 or not sizes:
            return changed
        each = sizes[1].split()
        each[number] = str(int(each[number]) + len(changed) - len(text))
        return changed.replace(sizes[0], f"tree_sizes={' '.join(each)}")

    return edit


DAMAGES: dict[str, Callable[[str], str]] = {
    "a line is missing": instead(r"^threshold=.*\n", ""),
    "the children are missing": instead(r"^left_child=.*\n", ""),
    "a line twice": instead(r"^(threshold=.*\n)", r"\1\1"),
    "a line too many": instead(r"^shrinkage=1\n", "shrinkage=1\nleaf_const=1\n"),
    "a value is missing": instead(r"^threshold=\S+ ", "threshold="),
    "a value too many": instead(r"^leaf_value=", "leaf_value=1 "),
    "a feature that is not there": instead(r"^split_feature=\d+", "split_feature=500000"),
    "a feature below zero": instead(r"^split_feature=\d+", "split_feature=-7"),
    "a child that is not there": instead(r"^left_child=-?\d+", "left_child=90000"),
    "a leaf that is not there": instead(r"^right_child=-?\d+", "right_child=-90000"),
    "a circle": instead(r"^left_child=-?\d+", "left_child=0"),
    "two parents": instead(r"^right_child=(-?\d+) (-?\d+)", r"right_child=\1 \1"),
    "more leaves than there are": instead(r"^num_leaves=\d+", "num_leaves=70000"),
    "no leaves": instead(r"^num_leaves=\d+", "num_leaves=0"),
    "leaves below zero": instead(r"^num_leaves=\d+", "num_leaves=-3"),
    "categories": instead(r"^num_cat=0", "num_cat=9"),
    "a decision of categories": instead(r"^decision_type=\d", "decision_type=1"),
    "linear leaves": instead(r"^is_linear=0", "is_linear=1"),
    "a word for a number": instead(r"^threshold=\S+", "threshold=abc"),
    "no number": instead(r"^leaf_value=\S+", "leaf_value=nan"),
    "an infinite number": instead(r"^leaf_value=\S+", "leaf_value=1e999"),
    "a number without end": instead(r"^split_feature=\d+", f"split_feature={'9' * 400}"),
    "other sizes of trees": instead(r"^tree_sizes=\d+", "tree_sizes=7"),
    "sizes below zero": instead(r"^tree_sizes=\d+", "tree_sizes=-1"),
    "a size too few": instead(r"^tree_sizes=\d+ ", "tree_sizes="),
    "more features": instead(r"^max_feature_idx=\d+", "max_feature_idx=900000"),
    "other classes": instead(r"^num_class=\d+", "num_class=9"),
    "other trees per round": instead(r"^num_tree_per_iteration=\d+", "num_tree_per_iteration=1"),
    "another objective": instead(r"^objective=.*", "objective=binary sigmoid:1"),
    "another version": instead(r"^version=v4", "version=v9"),
    "a tree is missing": lambda text: re.sub(r"Tree=1\n.*?(?=Tree=2\n)", "", text, flags=re.DOTALL),
    "another name of a tree": lambda text: text.replace("Tree=3\n", "Tree=5\n"),
    "an empty line goes": lambda text: text.replace("\n\n\nTree=1", "\nTree=1"),
    "old line ends of Apple": lambda text: text.replace("\n", "\r"),
    "half": lambda text: text[: len(text) // 2],
    "nothing": lambda text: "",
    "another file": lambda text: "[]",
    "a pointer of git": lambda text: "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_text_is_refused_without_a_digest(booster: lightgbm.Booster, tmp_path: Path, damage: str) -> None:
    path = tmp_path / "model.txt"
    save_trees(booster, path)
    load_trees(path, n_classes=N_CLASSES, digest=None)
    whole = path.read_bytes()
    path.write_text(DAMAGES[damage](whole.decode()), newline="")
    assert path.read_bytes() != whole
    with pytest.raises(
        PanelError, match=r"model\.txt is (damaged: |not a complete LightGBM).*; copy the panel again"
    ) as caught:
        load_trees(path, n_classes=N_CLASSES, digest=None)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "edit",
    [
        instead(r"^leaf_value=\S+", "leaf_value=3"),
        instead(r"^threshold=\S+", "threshold=0"),
        lambda text: re.sub(r"\[learning_rate: .*\]", "[learning_rate: 9]", text),
    ],
)
def test_an_edit_that_is_sound_is_found_by_the_digest(
    booster: lightgbm.Booster, tmp_path: Path, edit: Callable[[str], str]
) -> None:
    path = tmp_path / "model.txt"
    digest = save_trees(booster, path)
    path.write_text(edit(path.read_text()))
    load_trees(path, n_classes=N_CLASSES, digest=None)
    with pytest.raises(PanelError, match="is not the file that was trained; copy the panel again"):
        load_trees(path, n_classes=N_CLASSES, digest=digest)


def test_line_ends_of_windows_change_nothing(booster: lightgbm.Booster, tmp_path: Path) -> None:
    path = tmp_path / "model.txt"
    digest = save_trees(booster, path)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    inputs = np.random.default_rng(1).normal(size=(20, 5))
    for known in (digest, None):
        found = load_trees(path, n_classes=N_CLASSES, digest=known)
        np.testing.assert_array_equal(found.predict(inputs), booster.predict(inputs))


@pytest.fixture
def panel(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MIRE_CACHE", str(bench.root / "cache"))
    return Path(shutil.copytree(bench.panel, tmp_path / "panel"))


@pytest.mark.slow
def test_a_panel_keeps_the_digest_and_one_without_still_answers(panel: Path) -> None:
    meta = panel / "image" / "clip_lightgbm" / "meta.json"
    body = json.loads(meta.read_text())
    assert len(body.pop("trees_sha256")) == 64
    Panel.load(panel)
    meta.write_text(json.dumps(body))
    Panel.load(panel)
    trees = panel / "image" / "clip_lightgbm" / "model.txt"
    trees.write_text(trees.read_text().replace("left_child=", "left_child=9 ", 1))
    with pytest.raises(PanelError, match=r"model\.txt is damaged: "):
        Panel.load(panel)


@pytest.mark.slow
def test_the_command_says_it_in_one_line(bench: Bench, panel: Path, tmp_path: Path) -> None:
    trees = panel / "image" / "clip_lightgbm" / "model.txt"
    whole = trees.read_text()
    trees.write_text(whole.replace("leaf_count=", "leaf_count=1 ", 1))
    done = finish(bench.command(tmp_path / "s.csv", panel=panel), bench.environment())
    assert done.returncode == 1 and "is not the file that was trained" in error_line(done)
    trees.write_bytes(whole.replace("\n", "\r\n").encode())
    done = finish(bench.command(tmp_path / "s.csv", panel=panel), bench.environment())
    assert done.returncode == 0 and len(rows(tmp_path / "s.csv")) == 24
