"""New experts take the old ones' place whole, wherever the training is killed."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ensemble.panel import Panel
from ensemble.training.replacement import replacing
from mire.errors import PanelError
from mire.labels import builtin_taxonomy
from mire.panel_card import fingerprint
from mire.panel_folder import PanelFolder
from mire.settings import load_settings

SETTINGS = load_settings("cpu")


class Killed(BaseException):
    """What SIGKILL does, as far as the files are concerned: nothing after it runs."""


def write(panel: PanelFolder, words: str) -> None:
    """What a finished training of the image task leaves, as far as it is looked at."""
    panel.write_taxonomy(builtin_taxonomy("image"))
    for voter in SETTINGS.panel.voters("image"):
        panel.voter("image", voter).mkdir(exist_ok=True)
        (panel.voter("image", voter) / "model.txt").write_text(words)
    panel.weights("image").write_text(words)


def read(folder: Path) -> set[str]:
    return {path.read_text() for path in folder.rglob("*") if path.name in ("model.txt", "weights.json")}


def train(panel: PanelFolder, words: str) -> None:
    with replacing(panel, "image", SETTINGS) as beside:
        write(beside, words)


@pytest.fixture
def panel(tmp_path: Path) -> PanelFolder:
    """A panel whose image task was trained twice, so that there is a previous one."""
    panel = PanelFolder(tmp_path / "p")
    panel.claim(SETTINGS)
    train(panel, "oldest")
    train(panel, "old")
    return panel


def killed_at(step: int, patch: pytest.MonkeyPatch) -> None:
    """Kill at the ``step``-th change of a folder: before it, or, of a deletion or a copy, when some of it is done."""
    left = iter(range(step, -1, -1))

    def planted(change: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **options: Any) -> Any:
            if next(left) == 0:
                for path in sorted(Path(arguments[0]).rglob("*"))[:2] if change is shutil.rmtree else ():
                    path.unlink(missing_ok=True) if path.is_file() else None
                if change is shutil.copytree:
                    Path(arguments[1]).mkdir()
                raise Killed
            return change(*arguments, **options)

        return run

    patch.setattr(Path, "rename", planted(Path.rename))
    patch.setattr(shutil, "rmtree", planted(shutil.rmtree))
    patch.setattr(shutil, "copytree", planted(shutil.copytree))


@pytest.mark.parametrize("place", ["image/notes.txt", "image/screen_text", "README.md", ".image.lock", "training"])
def test_a_link_out_of_the_panel_is_neither_copied_nor_written_through(
    panel: PanelFolder, tmp_path: Path, place: str
) -> None:
    secret, link = tmp_path / "secret", panel.root / place
    secret.mkdir() if place in ("image/screen_text", "training") else secret.write_text("secret")
    shutil.rmtree(link) if link.is_dir() else link.unlink(missing_ok=True)
    link.symlink_to(secret)
    before = set(tmp_path.rglob("*"))
    with pytest.raises(PanelError, match=f"{place} lies behind a link that leads to no file of .*/p: what lies there"):
        train(panel, "new")
    assert set(tmp_path.rglob("*")) == before
    assert secret.is_dir() or secret.read_text() == "secret"


def test_killed_anywhere_the_panel_is_the_old_or_the_new_one_and_the_next_training_ends_it(
    panel: PanelFolder, tmp_path: Path
) -> None:
    n_old = n_new = 0
    for step in range(100):
        folder = PanelFolder(shutil.copytree(panel.root, tmp_path / str(step)))
        with pytest.MonkeyPatch.context() as patch:
            killed_at(step, patch)
            try:
                train(folder, "new")
            except Killed:
                pass
            else:
                break
        (found,) = read(folder.task("image"))
        assert folder.trained_tasks() == ("image",) and found in ("old", "new")
        n_old, n_new = n_old + (found == "old"), n_new + (found == "new")
        if found == "old":
            assert fingerprint(folder) == fingerprint(panel)
        with replacing(folder, "image", SETTINGS) as beside:
            assert read(folder.task("image")) == {found} and beside.has("image")
            write(beside, "newest")
        assert read(folder.task("image")) == {"newest"}
        assert read(folder.previous("image")) == {found}
        assert not folder.beside("image").root.exists()
    assert n_old >= 3 and n_new >= 3


def test_the_first_training_is_seen_when_it_is_whole(tmp_path: Path) -> None:
    panel = PanelFolder(tmp_path / "p")
    panel.claim(SETTINGS)
    with replacing(panel, "image", SETTINGS) as beside:
        write(beside, "new")
        assert panel.trained_tasks() == ()
    assert panel.trained_tasks() == ("image",)
    assert not (panel.root / "previous").exists()


def test_an_error_leaves_the_old_experts_and_the_next_training_goes_on(panel: PanelFolder) -> None:
    with pytest.raises(ValueError, match="half"), replacing(panel, "image", SETTINGS) as beside:
        (beside.task("image") / "checkpoint").write_text("half")
        raise ValueError("half way")
    assert read(panel.task("image")) == {"old"}
    with replacing(panel, "image", SETTINGS) as beside:
        assert (beside.task("image") / "checkpoint").read_text() == "half"


def test_the_other_task_and_what_people_put_into_the_panel_stay(panel: PanelFolder) -> None:
    (panel.root / "dialogue").mkdir()
    (panel.root / "dialogue" / "weights.json").write_text("mine")
    (panel.root / "report.html").write_text("mine")
    train(panel, "new")
    assert (panel.root / "dialogue" / "weights.json").read_text() == "mine"
    assert (panel.root / "report.html").read_text() == "mine"


def test_the_replaced_experts_are_a_panel(tiny_panel: Path, tmp_path: Path) -> None:
    panel = PanelFolder(shutil.copytree(tiny_panel, tmp_path / "p"))
    before = panel.weights("dialogue").read_text()
    with replacing(panel, "dialogue", panel.settings()) as beside:
        beside.weights("dialogue").write_text(before.replace('"n_fitted": 12', '"n_fitted": 11'))
    assert Panel.load(panel.root).tasks["dialogue"].weights.n_fitted == 11
    assert Panel.load(panel.root / "previous").tasks["dialogue"].weights.n_fitted == 12


def test_other_settings_are_told_entry_by_entry(panel: PanelFolder) -> None:
    lora = SETTINGS.qwen2vl.lora.model_copy(update={"rank": 8})
    other = SETTINGS.model_copy(update={"seed": 8, "qwen2vl": SETTINGS.qwen2vl.model_copy(update={"lora": lora})})
    with pytest.raises(PanelError, match=r"other settings: seed 7, now 8; qwen2vl\.lora\.rank 16, now 8; choose anoth"):
        panel.claim(other)
    with pytest.raises(PanelError, match=r"name 'cpu', now 'nano'; .*; and \d+ more; choose another"):
        panel.claim(load_settings("nano"))


def test_a_panel_that_changes_while_it_is_loaded_is_refused(
    tiny_panel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = PanelFolder(shutil.copytree(tiny_panel, tmp_path / "p"))
    monkeypatch.setattr("ensemble.panel.load_base", lambda *_: panel.weights("image").write_text(words))
    words = panel.weights("image").read_text().replace("{", "{ ", 1)
    with pytest.raises(PanelError, match="was replaced while it was loaded; run the same command again"):
        Panel.load(panel.root, ("image",))
