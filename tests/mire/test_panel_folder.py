"""When a task counts as trained."""

from pathlib import Path

import pytest

from mire.labels import builtin_taxonomy
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


@pytest.mark.parametrize("part", ["weights.json", "taxonomy.json", "screen_text"])
def test_a_task_that_lacks_a_part_does_not_count(trained: PanelFolder, part: str) -> None:
    path = trained.task("image") / part
    path.rename(path.with_name("elsewhere"))
    assert trained.trained_tasks() == ()
