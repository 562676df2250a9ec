"""nano ships pre-trained: its files belong to the sources, and a rebuild gives the same weights."""

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file

from experts.qwen2vl.nano import build_nano, nano_folder
from experts.qwen2vl.nano.build import RECIPE, recipe

REBUILD = "after a change of the sources: python -m experts.qwen2vl.nano --out experts/qwen2vl/nano/base"


def shipped_recipe() -> dict[str, str]:
    return dict(json.loads((nano_folder() / RECIPE).read_text(encoding="utf-8")))


def test_the_shipped_weights_are_those_of_the_sources() -> None:
    assert shipped_recipe()["sources"] == recipe()["sources"], REBUILD


def test_a_changed_source_or_shape_changes_the_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    before = recipe()["sources"]
    monkeypatch.setattr("experts.qwen2vl.nano.build.base_shape", lambda name: {"depth": 3})
    assert recipe()["sources"] != before


@pytest.mark.slow
def test_the_shipped_tokenizer_is_the_one_that_is_built(tmp_path: Path) -> None:
    build_nano(tmp_path, n_steps=0)
    built, shipped = (
        json.loads((folder / "tokenizer.json").read_text("utf-8")) for folder in (tmp_path, nano_folder())
    )
    assert built["model"] == shipped["model"], REBUILD


@pytest.mark.slow
def test_a_rebuild_gives_the_shipped_weights_bit_for_bit(tmp_path: Path) -> None:
    if (here := recipe()) != shipped_recipe():
        pytest.skip(f"other versions or another CPU round otherwise: {here} here, {shipped_recipe()} there")
    build_nano(tmp_path)
    mine, theirs = (load_file(folder / "model.safetensors") for folder in (tmp_path, nano_folder()))
    assert mine.keys() == theirs.keys()
    assert [name for name in mine if not mine[name].equal(theirs[name])] == [], REBUILD
