import json
import re
from pathlib import Path

import pytest

from mire.errors import SettingsError
from mire.settings import builtin_names, load_settings, save_settings

PANEL = "name: x\npanel: {image: [screen_text], dialogue: [dialogue_text]}\n"


def test_the_three_configurations_load_and_round_trip(tmp_path: Path) -> None:
    assert builtin_names() == ("cpu", "nano", "qwen2-vl-7b")
    for name in builtin_names():
        settings = load_settings(name)
        assert settings.name == name
        save_settings(settings, tmp_path / "s.json")
        assert load_settings(str(tmp_path / "s.json")) == settings


def test_7b_reads_pictures_at_900k_pixels() -> None:
    assert load_settings("qwen2-vl-7b").qwen2vl.max_pixels == 900_000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: x", "panel: Field required"),
        ("name: [", "not valid YAML"),
        ("name: 2024-13-01", "not valid YAML: month must be in 1..12"),
        ("name: !!bool x", "not valid YAML"),
        (f"seed: {'1' * 5000}", "not valid YAML: Exceeds the limit"),
        ("[" * 50_000, "not valid YAML"),
        ("name: x\npanel: {image: [], dialogue: [qwen2vl]}", "panel.image: Tuple should have at least 1 item"),
        (
            "name: x\npanel: {image: [dialogue_text], dialogue: [qwen2vl]}",
            "panel: Value error, image has no voter 'dialogue_text', known are qwen2vl, clip_lightgbm, screen_text",
        ),
        ("name: x\npanel: {image: [qwen2vl, qwen2vl], dialogue: [qwen2vl]}", "a voter may be named once per task"),
        (
            "name: x\nfoldz: 3\npanel: {image: [qwen2vl], dialogue: [qwen2vl]}",
            "foldz: no such entry, did you mean 'folds'?",
        ),
        (
            "name: x\npanel: {image: [qwen2vl], dialogue: [qwen2vl]}\nqwen2vl: {lora: {rnak: 8}, epochs: 3}",
            "qwen2vl.lora.rnak: no such entry, did you mean 'rank'?; qwen2vl.epochs: no such entry, known are base,",
        ),
        (
            "name: x\npanel: {image: [qwen2vl], dialog: [qwen2vl]}",
            "panel.dialog: no such entry, did you mean 'dialogue'",
        ),
        (f"{PANEL}weights: {{image: {{qwen2vl: 1}}}}", "weights.image names qwen2vl, not in panel.image"),
        (f"{PANEL}weights: {{image: {{screen_text: -1}}}}", "weights.image must not be negative and not all zero"),
        (f"{PANEL}weights: {{image: {{screen_text: 0}}}}", "weights.image must not be negative and not all zero"),
        (f"{PANEL}weights: {{image: {{screen_text: .nan}}}}", "weights.image.screen_text: Input should be a finite"),
        (PANEL.replace("screen_text", "screentext"), "image has no voter 'screentext', did you mean 'screen_text'?"),
        (
            "name: x\npanel: {image: [neighbours, qwen2vl], dialogue: [neighbours]}",
            "image: neighbours votes on the pass of qwen2vl: name qwen2vl before it; dialogue: neighbours votes on",
        ),
        (f"{PANEL}screen_text: {{grams: [3, 1]}}", "screen_text.grams: Value error, the shortest n-gram comes first"),
        (f"{PANEL}qwen2vl: {{image: {{loss: sft, brier: 1}}}}", "label_smoothing, brier and r_drop need loss"),
        (
            f"{PANEL}qwen2vl: {{dialogue: {{loss: sft, r_drop: 1}}}}",
            "label_smoothing, brier and r_drop need loss: label_set",
        ),
        (
            f"{PANEL}qwen2vl: {{lora: {{dropout: 0}}, image: {{r_drop: 1}}}}",
            "r_drop needs lora.dropout above 0: without",
        ),
        (f"{PANEL}qwen2vl: {{final_seeds: 2}}", "final_seeds 2 needs final: continue; final is refit"),
        (f"{PANEL}qwen2vl: {{image: {{ema: 0.9, average_from: 0.5}}}}", "remove one of them"),
        (f"{PANEL}qwen2vl: {{min_pixels: 5000, max_pixels: 4000}}", "min_pixels (5000) must not exceed max_pixels"),
    ],
)
def test_faults_name_the_entry(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=re.escape(message)):
        load_settings(str(path))


def test_settings_that_name_packed_rows_load_and_padded_ones_are_refused(tmp_path: Path) -> None:
    now = load_settings("nano")
    body = json.loads(now.model_dump_json())
    (tmp_path / "settings.json").write_text(json.dumps(body | {"qwen2vl": body["qwen2vl"] | {"attention": "packed"}}))
    assert load_settings(str(tmp_path / "settings.json")) == now
    padded = r"qwen2vl: Value error, attention 'padded' no longer exists; remove the entry: packed rows give the same"
    with pytest.raises(SettingsError, match=padded):
        load_settings("nano", ["qwen2vl.attention=padded"])


def test_settings_with_a_patience_load_without_it() -> None:
    assert load_settings("nano", ["qwen2vl.image.patience=8"]) == load_settings("nano")


def test_a_regression_of_both_tasks_becomes_one_of_each() -> None:
    once = ["text_embedding.penalty=0.3", "text_embedding.embedding_weight=1.5", "text_embedding.description_weight=1"]
    found = load_settings("cpu", [*once, "text_embedding.image.penalty=5"]).text_embedding
    assert found.ridge("dialogue").model_dump(exclude={"fine_tune"}) == {
        "embedding_weight": 1.5, "description_weight": 1, "penalty": 0.3,
    }  # fmt: skip
    assert found.ridge("image").model_dump() == found.dialogue.model_dump() | {"penalty": 5}
    with pytest.raises(SettingsError, match=r"text_embedding.image: Input should be a valid dictionary"):
        load_settings("cpu", [*once, "text_embedding.image=5"])


def test_overrides_change_single_entries() -> None:
    usual = load_settings("qwen2-vl-7b")
    settings = load_settings(
        "qwen2-vl-7b",
        ["qwen2vl.max_pixels=600000", "qwen2vl.image.epochs=2", "panel.dialogue=[dialogue_text]", "vote=majority"],
    )
    assert (settings.qwen2vl.max_pixels, settings.qwen2vl.image.epochs) == (600_000, 2)
    assert (settings.panel.dialogue, settings.vote) == (("dialogue_text",), "majority")
    assert settings.qwen2vl.dialogue == usual.qwen2vl.dialogue
    assert settings.panel.image == usual.panel.image


def test_one_choice_of_a_voter_leaves_its_others() -> None:
    settings = load_settings("cpu", ["screen_text.trees.rounds=10", "clip.trees.rounds=20"])
    assert (settings.screen_text.trees.rounds, settings.screen_text.trees.learning_rate) == (10, 0.06)
    assert (settings.clip.trees.rounds, settings.clip.trees.learning_rate) == (20, 0.1)
    assert settings.stage("screen_text") is settings.screen_text
    assert settings.panel.names == ("screen_text", "dialogue_text")


def test_settings_from_before_there_were_choices_load_with_their_values(tmp_path: Path) -> None:
    settings = load_settings("cpu")
    body = settings.model_dump(mode="json", exclude={"screen_text": True, "dialogue_text": True, "clip": {"trees"}})
    (tmp_path / "s.json").write_text(json.dumps(body))
    assert load_settings(str(tmp_path / "s.json")) == settings


def test_faults_of_overrides_are_named_together() -> None:
    with pytest.raises(SettingsError, match="did you mean 'max_pixels'") as error:
        load_settings("cpu", ["qwen2vl.max_pixel=1", "folds=one", "seed=3"])
    assert "folds: Input should be a valid integer" in str(error.value)


@pytest.mark.parametrize("override", ["folds", "name.folds=3"])
def test_an_override_that_is_none_says_how_one_looks(override: str) -> None:
    with pytest.raises(SettingsError, match=f"takes KEY=VALUE, as qwen2vl.max_pixels=600000, got '{override}'"):
        load_settings("cpu", [override])


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(SettingsError, match="one of cpu, nano, qwen2-vl-7b or a file, got 'nono'"):
        load_settings("nono")


def test_a_taxonomy_of_the_other_task_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text('{"task": "image", "labels": [{"name": "a"}, {"name": "b"}]}')
    settings = load_settings("cpu").model_copy(
        update={"taxonomies": load_settings("cpu").taxonomies.model_copy(update={"dialogue": tmp_path / "t.json"})}
    )
    with pytest.raises(SettingsError, match="holds image labels but is named for the dialogue task"):
        settings.taxonomy("dialogue")


def test_label_files_beside_the_configuration_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").mkdir()
    config = tmp_path / "mine/config.yaml"
    labels = {"task": "dialogue", "labels": [{"name": "a"}, {"name": "b"}]}
    for path in ("mine/dialogue.json", "old.json"):
        (tmp_path / path).write_text(json.dumps(labels))
    config.write_text(f"{PANEL}taxonomies: {{dialogue: dialogue.json}}\n")
    assert load_settings(str(config)).taxonomy("dialogue").labels == ("a", "b")
    monkeypatch.chdir(tmp_path)
    assert load_settings("mine/config.yaml").taxonomies.dialogue == Path("mine/dialogue.json")
    # Configurations of earlier versions name it as seen from the working directory, and so does the command line.
    config.write_text(f"{PANEL}taxonomies: {{dialogue: mine/dialogue.json}}\n")
    assert load_settings("mine/config.yaml").taxonomies.dialogue == Path("mine/dialogue.json")
    override = ["taxonomies.dialogue=old.json"]
    assert load_settings("mine/config.yaml", override).taxonomies.dialogue == Path("old.json")
