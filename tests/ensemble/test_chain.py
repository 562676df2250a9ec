"""The main job as a person runs it: train, predict, score, ablate, on a tiny set of real files."""

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny import SETTINGS

from ensemble import ablate, predict, score, train
from mire.cli import run


@pytest.fixture(scope="module", autouse=True)
def own_cache(tiny_panel: Path) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MIRE_CACHE", str(tiny_panel.with_name("cache")))
        yield


@pytest.fixture(scope="module")
def config(tiny_panel: Path) -> Path:
    return tiny_panel.with_name("tiny.yaml")


def data(tiny_set: Path) -> list[str]:
    return ["--data", str(tiny_set / "train.json"), "--images", str(tiny_set / "images")]


def test_the_panel_is_readable_and_without_pickle(tiny_panel: Path) -> None:
    names = {str(path.relative_to(tiny_panel)) for path in tiny_panel.rglob("*") if path.is_file()}
    assert {"settings.json", "image/weights.json", "image/votes/clip_lightgbm.json", "dialogue/folds.json"} <= names
    assert not [name for name in names if name.endswith((".pkl", ".pickle", ".joblib", ".pt", ".bin"))]


def test_predict_writes_every_id_once_in_order_and_score_reads_it(
    tiny_panel: Path, tiny_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "submit.csv"
    assert run(predict, [*data(tiny_set), "--panel", str(tiny_panel), "--out", str(out), "--json"]) == 0
    seen = capsys.readouterr()
    assert re.search(r"all [\d.]+ s; [\d.]+ rows per second", seen.err)
    printed = json.loads(seen.out)
    assert printed["seconds"].keys() == {"reading and loading", "image clip_lightgbm", "dialogue dialogue_text", "all"}
    assert printed["rows"] == 24
    with out.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    truth = json.loads((tiny_set / "train.json").read_text(encoding="utf-8"))
    assert [row["id"] for row in rows] == [record["id"] for record in truth]
    assert list(rows[0]) == ["id", "instruction", "input", "output", "image", "predict"]
    report = json.loads(out.with_suffix(".report.json").read_text(encoding="utf-8"))
    assert (report["rows"], report["degraded"], report["max_calls"]) == (24, {}, 1)
    capsys.readouterr()
    assert run(score, ["--truth", str(tiny_set / "train.json"), "--submission", str(out)]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["n"] == 24
    assert figures["mean_f1"] == pytest.approx(
        (figures["tasks"]["image"]["f1"] + figures["tasks"]["dialogue"]["f1"]) / 2
    )


def test_ablation_of_the_training_set_uses_out_of_fold_votes(
    tiny_panel: Path, tiny_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(ablate, [*data(tiny_set), "--panel", str(tiny_panel), "--out", str(tmp_path)]) == 0
    result = json.loads((tmp_path / "ablation.json").read_text(encoding="utf-8"))
    assert {part["votes"] for part in result["tasks"].values()} == {"out_of_fold"}
    # the card's, of both tasks' only voters
    assert all(system["milliseconds"] > 0 for part in result["tasks"].values() for system in part["systems"])
    assert result["mean"][0]["milliseconds"] == pytest.approx(
        sum(part["systems"][0]["milliseconds"] for part in result["tasks"].values()) / 2
    )
    assert [system["voters"] for system in result["tasks"]["image"]["systems"]] == [["clip_lightgbm"]]
    assert result["mean"][0]["name"] == "panel"
    assert (tmp_path / "ablation.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert "clip_lightgbm" in capsys.readouterr().out


def test_ablation_of_new_samples_casts_fresh_votes_and_leaves_seen_ones_out(
    tiny_panel: Path, tiny_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = json.loads((tiny_set / "train.json").read_text(encoding="utf-8"))
    dialogues = [record for record in records if not record["image"]]
    for record in dialogues[:8]:
        record["instruction"] = record["instruction"].replace("用户: ", "用户: 请问")
    path = tmp_path / "new.json"
    path.write_text(json.dumps(dialogues, ensure_ascii=False), encoding="utf-8")
    arguments = ["--data", str(path), "--images", str(tiny_set / "images"), "--panel", str(tiny_panel)]
    assert run(ablate, [*arguments, "--out", str(tmp_path)]) == 0
    part = json.loads((tmp_path / "ablation.json").read_text(encoding="utf-8"))["tasks"]["dialogue"]
    assert (part["votes"], part["n"]) == ("fresh", 8)
    assert "4 samples were trained on and are left out" in capsys.readouterr().err


def test_a_panel_of_other_settings_is_not_overwritten(
    tiny_panel: Path, tiny_set: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(train, ["all", *data(tiny_set), "--panel", str(tiny_panel), "--config", "cpu"]) == 1
    assert "was trained with other settings: name 'tiny', now 'cpu'; " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"output": "没有的"}, "record 1, id '0000': '没有的' is not a live image label; correct it"),
        ({"output": ""}, "record 1, id '0000': training needs a label in 'output'"),
    ],
)
def test_labels_are_checked_before_anything_is_trained(
    tiny_set: Path, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict, message: str
) -> None:
    records = json.loads((tiny_set / "train.json").read_text(encoding="utf-8"))
    next(record for record in records if record["image"]).update(change)
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(records, ensure_ascii=False), encoding="utf-8")
    arguments = ["--data", str(path), "--images", str(tiny_set / "images"), "--config", str(config)]
    assert run(train, ["all", *arguments, "--panel", str(tmp_path / "p")]) == 1
    seen = capsys.readouterr().err
    assert message in seen and seen.count("\n") == 1
    assert not (tmp_path / "p").exists()


def test_training_says_what_it_cannot_read_and_goes_on(
    tiny_set: Path, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = [r for r in json.loads((tiny_set / "train.json").read_text(encoding="utf-8")) if r["image"]]
    records[1]["image"], records[3]["image"] = ["none.png"], ["../x.png"]
    path = tmp_path / "broken.json"
    path.write_text(json.dumps(records, ensure_ascii=False), encoding="utf-8")
    arguments = ["--data", str(path), "--images", str(tiny_set / "images"), "--panel", str(tmp_path / "p")]
    assert run(train, ["image", *arguments, "--config", str(config)]) == 0
    said = capsys.readouterr().err
    assert "image: 2 of them can be read only in part (first: record 2, id '0001': picture" in said
    assert re.search(r"image: trained \(clip_lightgbm \d+ s\); weights .*, fitted on 10 out-of-fold votes", said)


@pytest.mark.slow
def test_too_few_samples_for_the_folds_leave_a_folder_that_other_settings_may_use(
    tiny_set: Path, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    many = tmp_path / "many.yaml"
    many.write_text(SETTINGS.replace("folds: 2", "folds: 5"))
    arguments = ["dialogue", *data(tiny_set), "--panel", str(tmp_path / "p")]
    assert run(train, [*arguments, "--config", str(many)]) == 1
    said = capsys.readouterr().err
    assert "5 folds need a label with at least 5 samples, the commonest has 4" in said and said.count("\n") == 1
    assert run(train, [*arguments, "--config", str(config)]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--images", "/none"], "the picture folder /none is not a folder"),
        (["--panel", "/none"], "/none is no panel: settings.json is missing"),
        (["--data", "/none"], "No such file or directory (/none)"),
    ],
)
def test_wrong_paths_end_in_one_line(
    tiny_panel: Path,
    tiny_set: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    usual = [*data(tiny_set), "--panel", str(tiny_panel), "--out", str(tmp_path / "s.csv")]
    assert run(predict, [*usual, *arguments]) == 1
    seen = capsys.readouterr().err
    assert message in seen and seen.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "final",
    [
        f"vote_folds: {n}, final: {how}"
        for n, how in ((1, "refit"), (1, "continue"), (1, "continue, final_seeds: 2"), (2, "merge"))
    ],
)
def test_the_qwen2vl_experts_train_vote_and_answer(tiny_set: Path, tmp_path: Path, final: str) -> None:
    from experts.qwen2vl.nano import build_nano

    build_nano(tmp_path / "base", n_steps=0)
    training = "{epochs: 1, batch_size: 4, micro_batch_size: 2, gradient_checkpointing: true}"
    (tmp_path / "c.yaml").write_text(
        "name: tiny\nfolds: 2\npanel: {image: [qwen2vl], dialogue: [qwen2vl]}\n"
        f"qwen2vl: {{base: {tmp_path / 'base'}, layout: compact, max_pixels: 3136, image: {training}, "
        f"dialogue: {training}, {final}}}\n"
    )
    panel, out = tmp_path / "p", tmp_path / "s.csv"
    arguments = ["all", *data(tiny_set), "--panel", str(panel), "--config", str(tmp_path / "c.yaml")]
    assert run(train, arguments) == 0
    names = {path.name for path in (panel / "image" / "qwen2vl").iterdir()}
    assert {"adapter_model.safetensors", "adapter_config.json", "mire.json", "folds"} <= names
    card = (panel / "image" / "qwen2vl" / "README.md").read_text(encoding="utf-8")
    origin = {
        "refit": "This adapter was trained once more on all samples, for 1.0 epochs",
        # Half an epoch of three steps is two of them.
        "continue": "This adapter is the first of theirs, trained on all samples for 0.7 further epochs",
        "continue, final_seeds: 2": "This adapter is the exact average of 2, each the first of theirs, trained on all "
        "samples for 0.7 further epochs with a seed of its own",
        "merge": "This adapter is the average of theirs",
    }[final.split(": ", 2)[2]]
    assert f"on {final[12]} of 2 folds. {origin}." in card and str(tmp_path) not in card
    votes = json.loads((panel / "image" / "votes" / "qwen2vl.json").read_text(encoding="utf-8"))["votes"]
    assert len(votes) == (12 if "merge" in final else 6)
    assert run(predict, [*data(tiny_set), "--panel", str(panel), "--out", str(out)]) == 0
    report = json.loads(out.with_suffix(".report.json").read_text(encoding="utf-8"))
    assert report["rows"] == 24
    assert report["max_calls"] == 1
    assert len([part for part in report["parameters"] if part.startswith("base ")]) == 1
