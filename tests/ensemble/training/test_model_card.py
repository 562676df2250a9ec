"""The card and the README of a panel that was really trained, at the smallest size."""

import json
import shutil
from pathlib import Path

import pytest

from ensemble.training.model_card import panel_card
from mire.errors import PanelError
from mire.panel_card import fingerprint, read_card
from mire.panel_folder import PanelFolder


@pytest.fixture
def panel(tiny_panel: Path, tmp_path: Path) -> PanelFolder:
    return PanelFolder(shutil.copytree(tiny_panel, tmp_path / "panel"))


def test_a_card_says_what_really_ran(panel: PanelFolder) -> None:
    card = read_card(panel, "dialogue")
    assert card is not None
    assert (card.configuration, card.data, card.n_samples, card.n_labels, card.n_guessed, card.n_folds) == (
        "tiny", "train.json", 12, 3, 0, 2,
    )  # fmt: skip
    assert card.voters.keys() == {"dialogue_text"}
    # one voter alone: the panel says what it says
    assert card.panel == card.voters["dialogue_text"]
    assert card.panel.n == 12 and card.panel.low <= card.panel.f1 <= card.panel.high
    assert card.milliseconds.keys() == {"dialogue_text"} and card.milliseconds["dialogue_text"] > 0
    assert card.checks["dialogue_text"].figures["most frequent answer"][1] == 12
    assert card.versions.keys() >= {"mire", "torch", "lightgbm"}


def test_the_readme_is_the_card_in_words(panel: PanelFolder) -> None:
    text = (panel.root / "README.md").read_text(encoding="utf-8")
    assert text == panel_card(panel) + "\n"
    card = read_card(panel, "image")
    assert card is not None
    assert f"| **panel** | {card.panel.f1:.3f} | {card.panel.low:.3f} to {card.panel.high:.3f} | 12 | " in text
    assert "12 labelled samples of 3 labels, in 2 folds" in text and card.data_digest in text
    assert "clip_lightgbm: most frequent answer " in text and "% (n 12). No accident was found." in text
    assert "## Dialogue task" in text and "clip_lightgbm" in text
    # the settings of voters that are not on the panel would only confuse
    assert "mire-nano" in text and "max_tokens" not in text and "zone_grams" not in text


def test_the_readme_says_whether_drafts_helped(panel: PanelFolder) -> None:
    card = json.loads(panel.card("dialogue").read_text())
    card["drafts"] = {"dialogue_text": {"f1": 0.75, "without": 0.5, "low": 0.125, "high": 0.375}}
    panel.card("dialogue").write_text(json.dumps(card))
    told = "The drafts change the F1 of dialogue_text by +0.250 (+0.125 to +0.375): 0.750 with them, 0.500 without."
    assert told in panel_card(panel)


def test_the_fingerprint_follows_what_decides_only(panel: PanelFolder) -> None:
    before = fingerprint(panel)
    (panel.root / "README.md").write_text("other words", encoding="utf-8")
    assert fingerprint(panel) == before
    weights = panel.weights("dialogue").read_text()
    panel.weights("dialogue").write_text(weights.replace("1.0", "1.5", 1))
    assert fingerprint(panel) != before
    panel.weights("dialogue").write_text(weights)
    assert fingerprint(panel) == before


def test_a_broken_card_is_named(panel: PanelFolder) -> None:
    text = panel.card("image").read_text()
    panel.card("image").write_text(json.dumps(json.loads(text) | {"n_samples": "many"}))
    with pytest.raises(PanelError, match=r"card\.json is broken: .*valid integer.*; train the panel again"):
        read_card(panel, "image")
    panel.card("image").unlink()
    assert read_card(panel, "image") is None
    panel.card("image").write_text(text)
