"""When a task counts as trained."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mire.errors import PanelError, SettingsError
from mire.labels import Label, builtin_taxonomy
from mire.panel_card import fingerprint
from mire.panel_folder import PanelFolder
from mire.settings import load_settings


@pytest.fixture
def trained(tmp_path: Path) -> PanelFolder:
    """What a finished training of the image task leaves, as far as it is looked at."""
    panel = PanelFolder(tmp_path / "p")
    settings = load_settings("cpu")
    panel.claim(settings)
    panel.write_taxonomy(builtin_taxonomy("image"))
    for voter in settings.panel.voters("image"):
        panel.voter("image", voter).mkdir()
    panel.weights("image").write_text("{}")
    return panel


def test_a_finished_task_counts(trained: PanelFolder) -> None:
    assert trained.trained_tasks() == ("image",)


def test_trainings_of_both_tasks_may_claim_a_panel_at_the_same_time(tmp_path: Path) -> None:
    panel, settings = PanelFolder(tmp_path / "p"), load_settings("cpu")
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(lambda _: panel.claim(settings), range(64))) == [None] * 64
    assert panel.settings() == settings


@pytest.mark.parametrize("part", ["weights.json", "taxonomy.json", "screen_text"])
def test_a_task_that_lacks_a_part_does_not_count(trained: PanelFolder, part: str) -> None:
    path = trained.task("image") / part
    path.rename(path.with_name("elsewhere"))
    assert trained.trained_tasks() == ()


def test_how_a_panel_computes_may_be_overridden_and_what_it_was_trained_with_may_not(trained: PanelFolder) -> None:
    stage = PanelFolder(trained.root, ("qwen2vl.dtype=bfloat16", "qwen2vl.input_workers=0")).settings().qwen2vl
    assert (stage.dtype, stage.input_workers) == ("bfloat16", 0)
    assert trained.settings().qwen2vl.dtype == "auto"
    with pytest.raises(SettingsError, match="qwen2vl.dtype: Input should be 'auto', 'bfloat16', 'float16' or"):
        PanelFolder(trained.root, ("qwen2vl.dtype=int8",)).settings()
    with pytest.raises(SettingsError, match=r"--set qwen2vl.max_pixels: .* only qwen2vl.dtype, .* may differ"):
        PanelFolder(trained.root, ("qwen2vl.max_pixels=9",))


def test_added_labels_are_answered_after_the_trained_ones_until_the_next_training(trained: PanelFolder) -> None:
    before, plain = fingerprint(trained), builtin_taxonomy("image")
    assert trained.answered("image") == plain
    trained.added("image").write_text('[{"name": "新页面", "gloss": "new"}]', encoding="utf-8")
    assert trained.taxonomy("image") == plain and fingerprint(trained) != before
    assert trained.taxonomies()["image"].entries == (*plain.entries, Label(name="新页面", gloss="new"))
    trained.added("image").write_text('[{"nam": "新页面"}]', encoding="utf-8")
    with pytest.raises(PanelError, match="added.json is broken: .*; copy the panel again"):
        trained.answered("image")
    trained.write_taxonomy(plain)
    assert not trained.added("image").exists() and fingerprint(trained) == before
