"""The maker of the shipped samples draws every kind of picture and writes every kind of dialogue."""

import random
from collections.abc import Iterator
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image

from mire.cli import run
from mire.labels import builtin_taxonomy
from mire.samples import read_samples
from router.route import route
from samples import make
from samples.maker import build, fonts
from samples.maker.dialogues import make_dialogues
from samples.maker.pictures import draw_picture
from samples.maker.screens import SCENES, Scene

ANY_FONT = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
"""Has no Chinese glyphs and draws a box for each, which is enough to run the code that places them."""
SPLITS = ("train", "test")


@pytest.fixture(autouse=True)
def any_font(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Text is drawn in matplotlib's font, which is always there, so that no test depends on what is installed."""
    fonts.font.cache_clear()
    monkeypatch.setattr(fonts, "_face", lambda family, bold: (str(ANY_FONT), 0))
    yield
    fonts.font.cache_clear()


def is_drawn(picture: Image.Image) -> bool:
    """Whether it has a screen's size and more than one colour."""
    return min(picture.size) >= 150 and len(np.unique(np.asarray(picture.convert("L")))) > 10


def test_the_scenes_are_the_live_labels() -> None:
    assert {scene.label for scene in SCENES} == set(builtin_taxonomy("image").labels)


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.label)
def test_every_scene_is_drawn(scene: Scene) -> None:
    for split in SPLITS:
        picture = scene.makers(split)[0](random.Random(7), split)
        assert is_drawn(picture), split


@pytest.mark.parametrize("kind", ["product", "detail", "photo", "order"])
def test_every_picture_of_a_dialogue_is_drawn(kind: str) -> None:
    assert is_drawn(draw_picture(random.Random(7), kind=kind, goods="保温杯"))


@pytest.mark.parametrize("split", SPLITS)
def test_every_intent_gets_different_dialogues(split: str) -> None:
    dialogues = make_dialogues(random.Random(7), split=split, per_label=2)
    labels = [dialogue.label for dialogue in dialogues]
    assert sorted(labels) == sorted([*builtin_taxonomy("dialogue").labels] * 2)
    assert len({dialogue.turns for dialogue in dialogues}) == len(dialogues)
    for dialogue in dialogues:
        assert sum(text == "<image>" for _, text in dialogue.turns) == len(dialogue.pictures)


@pytest.mark.slow
def test_the_command_writes_a_set_that_is_read_and_the_same_seed_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(build, "SCENES", SCENES[1:2])
    monkeypatch.setattr(build, "SHARES", (build.Share("train", 1, 1), build.Share("test", 1, 1)))
    monkeypatch.setattr(build, "make_dialogues", lambda rng, **how_many: make_dialogues(rng, **how_many)[:2])
    for name in ("a", "b"):
        assert run(make, ["--out", str(tmp_path / name), "--seed", "7"]) == 0
    assert capsys.readouterr().out.startswith("3 train samples, 3 test samples, ")
    written = {path.name: path.read_bytes() for path in (tmp_path / "a").rglob("*") if path.is_file()}
    assert {path.name: path.read_bytes() for path in (tmp_path / "b").rglob("*") if path.is_file()} == written
    samples = read_samples(tmp_path / "a" / "train.json", tmp_path / "a" / "images")
    assert all(sample.problems == () for sample in samples)
    assert all(sample.label in builtin_taxonomy(route(sample.prompt).task) for sample in samples)


def test_a_missing_font_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(fonts, "FOLDER", tmp_path)
    fonts._face.cache_clear()
    with pytest.raises(fonts.FontError, match="no font Noto Sans CJK SC .* under .*: apt install fonts-noto-cjk"):
        fonts.font("noto", 20, False)
