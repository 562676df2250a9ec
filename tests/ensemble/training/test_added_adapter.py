"""An adapter that was trained elsewhere becomes a voter of a panel, by one command."""

import json
import shutil
from pathlib import Path

import pytest
from qwen2vl_inputs import make_adapter

from ensemble import fit
from ensemble.panel import Panel
from ensemble.training.added_adapter import _copy
from ensemble.training.replacement import replacing
from ensemble.voting.oof_votes import read_out_of_fold_votes
from ensemble.voting.weights import read_weights
from experts.qwen2vl.adapter import Manifest, read_manifest, write_manifest
from experts.qwen2vl.nano import build_nano
from mire.budget import Ledger
from mire.cli import run
from mire.folds import read_folds
from mire.panel_card import read_card
from mire.panel_folder import PanelFolder
from mire.settings import load_settings

MANIFEST = Manifest(
    task="dialogue", base="nano", base_fingerprint="0" * 12, layout="compact", taxonomy="0" * 12, min_pixels=3136,
    max_pixels=9408, max_tokens=1024,
)  # fmt: skip


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter of the dialogue task, as ``convert`` leaves it, on a nano base that was not pre-trained."""
    root = tmp_path_factory.mktemp("elsewhere")
    build_nano(root / "base", n_steps=0)
    settings = load_settings("nano").qwen2vl.model_copy(update={"base": str(root / "base"), "max_pixels": 9408})
    return make_adapter(root / "adapter", settings, "dialogue")


@pytest.fixture
def panel(tiny_panel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PanelFolder:
    monkeypatch.setenv("MIRE_CACHE", str(tiny_panel.parent / "cache"))
    return PanelFolder(shutil.copytree(tiny_panel, tmp_path / "panel"))


def arguments(panel: PanelFolder, adapter: Path, tiny_set: Path, data: Path | None = None) -> list[str]:
    files = ["--data", str(data or tiny_set / "train.json"), "--images", str(tiny_set / "images")]
    return ["--panel", str(panel.root), "--task", "dialogue", "--adapter", str(adapter), *files]


@pytest.mark.slow
def test_it_votes_on_labelled_data_and_gets_a_weight(
    panel: PanelFolder, adapter: Path, tiny_set: Path, tmp_path: Path
) -> None:
    records = json.loads((tiny_set / "train.json").read_text(encoding="utf-8"))
    trained = read_card(panel, "dialogue")
    new = json.loads(json.dumps(records[3:6]).replace("\\u8fd9\\u4e2a", "\\u90a3\\u4e2a"))
    for number, record in enumerate(new):
        record["id"] = f"new{number}"
    (tmp_path / "more.json").write_text(json.dumps(records + new))
    assert run(fit, arguments(panel, adapter, tiny_set, tmp_path / "more.json")) == 0

    votes = read_out_of_fold_votes(panel, "dialogue")
    assert list(votes.votes) == ["qwen2vl", "dialogue_text"]
    assert len(votes.ids) == 15, "twelve that the others were trained on, and three new ones"
    assert [read_folds(panel.folds("dialogue"))[f"new{number}"] for number in range(3)] == [-1] * 3
    assert read_weights(panel.weights("dialogue")).voters.keys() == {"qwen2vl", "dialogue_text"}
    assert panel.settings().qwen2vl.base == read_manifest(adapter).base
    card = read_card(panel, "dialogue")
    assert trained and card and card.voters.keys() == {"qwen2vl", "dialogue_text"}
    assert (card.n_samples, card.data_digest) == (trained.n_samples, trained.data_digest)
    assert panel.previous("dialogue").is_dir() and not panel.beside("dialogue").root.exists()

    whole = Panel.load(panel.root)
    samples = panel.read_samples(tmp_path / "more.json", tiny_set / "images")
    answers = whole.predict(samples[3:6], Ledger())
    assert [[vote.voter for vote in answer.votes] for answer in answers] == [["qwen2vl", "dialogue_text"]] * 3
    # Once more, as after converting another adapter: the votes are the new one's, nothing is there twice.
    assert run(fit, arguments(panel, adapter, tiny_set)) == 0
    assert len(read_out_of_fold_votes(panel, "dialogue").ids) == 12


def test_what_does_not_fit_is_one_line_and_changes_nothing(
    panel: PanelFolder, tiny_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(adapter: Path) -> str:
        before = {path: path.read_bytes() for path in panel.root.rglob("*") if path.is_file()}
        assert run(fit, arguments(panel, adapter, tiny_set)) == 1
        assert before == {path: path.read_bytes() for path in before}
        return capsys.readouterr().err

    assert said(tmp_path).endswith(" is no adapter of this project: mire.json is missing; see mire convert\n")
    with pytest.raises(KeyboardInterrupt), replacing(panel, "dialogue", panel.settings()):
        raise KeyboardInterrupt
    (tmp_path / "adapter_model.safetensors").touch()
    write_manifest(MANIFEST, tmp_path)
    assert "training/dialogue holds a training that was stopped; finish it, or delete it" in said(tmp_path)


def test_only_the_files_of_an_adapter_are_copied(tmp_path: Path) -> None:
    folder = tmp_path / "hub"
    folder.mkdir()
    write_manifest(MANIFEST, folder)
    (tmp_path / "blob").write_text("weights")
    (folder / "adapter_model.safetensors").symlink_to(tmp_path / "blob")  # as the hub's cache has them
    (folder / "notes.txt").symlink_to("/etc/passwd")
    (folder / "all").symlink_to("/etc")
    _copy(folder, tmp_path / "voter")
    assert {path.name for path in (tmp_path / "voter").rglob("*")} == {"mire.json", "adapter_model.safetensors"}
    assert (tmp_path / "voter/adapter_model.safetensors").read_text() == "weights"


@pytest.mark.parametrize("left_out", ["--data", "--images", "--adapter", "--task"])
def test_options_that_belong_together(left_out: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = {"--panel": "p", "--task": "image", "--adapter": "a", "--data": "d", "--images": "i"}
    given = [word for name, value in words.items() if name != left_out for word in (name, value)]
    with pytest.raises(SystemExit, match="2"):
        run(fit, given)
    assert "--adapter, --data, --images and one --task belong together" in capsys.readouterr().err
