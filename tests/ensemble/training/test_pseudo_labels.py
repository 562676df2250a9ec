import json
import re
import shutil
from pathlib import Path

import pytest

from ensemble import pseudo_label
from ensemble.training.pseudo_labels import confident, keep_the_better, write_pseudo_labels
from mire.cli import run
from mire.panel_folder import PanelFolder
from mire.samples import read_samples
from mire.votes import Prediction


def guess(sample_id: str, label: str, probability: float, *problems: str) -> Prediction:
    return Prediction(sample_id, "image", label, (probability, 1 - probability), (), problems, 1, 1)


def test_the_surest_half_of_each_label_is_kept() -> None:
    guesses = [guess("a", "x", 0.9), guess("b", "x", 0.8), guess("c", "x", 0.95), guess("d", "y", 0.6)]
    # half of three is two, half of one is one
    assert [kept.sample_id for kept in confident(guesses, 0.5)] == ["c", "a", "d"]


def test_unsure_and_degraded_guesses_are_never_kept() -> None:
    # the two probabilities of a guess sum to one: 0.5 is the least that a winner can have here
    assert confident([guess("a", "x", 0.9, "picture is missing")], 1.0) == []
    assert confident([Prediction("b", "image", "x", (0.49, 0.3, 0.21), (), (), 1, 1)], 1.0) == []


@pytest.fixture(scope="module")
def trained(tiny_set: Path, tiny_panel: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A panel of the dialogue task, and a file of unlabelled dialogues beside a known one."""
    root = tmp_path_factory.mktemp("pseudo")
    shutil.copytree(tiny_panel, root / "p", ignore=shutil.ignore_patterns("image"))
    records = [record for record in json.loads((tiny_set / "train.json").read_text("utf-8")) if not record["image"]]
    new = [
        {
            **record,
            "id": f"new {record['id']}",
            "output": "",
            "instruction": record["instruction"].replace("这个", "那个"),
        }
        for record in records[:6]
    ]
    (root / "new.json").write_text(json.dumps([*new, {**records[0], "output": ""}], ensure_ascii=False), "utf-8")
    return root / "p", root / "new.json"


def test_a_new_panel_learns_from_guesses_and_is_no_worse(
    trained: tuple[Path, Path], tiny_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    panel, unlabelled = trained
    arguments = ["--data", str(tiny_set / "train.json"), "--images", str(tiny_set / "images"), "--panel", str(panel)]
    arguments += ["--unlabelled", str(unlabelled), "--out", str(tmp_path / "p2"), "--share", "1"]
    assert run(pseudo_label, arguments) == 0
    said = capsys.readouterr().err
    assert "of 6 unlabelled samples get a label" in said, "the sample that was trained on is not guessed"
    assert "12 samples, 3 of 23 labels" in said
    votes = json.loads(PanelFolder(tmp_path / "p2").votes("dialogue", "dialogue_text").read_text("utf-8"))["votes"]
    assert len(votes) == 12, "guessed samples are not voted on"
    assert run(pseudo_label, arguments) == 1
    assert "is already there; a new panel needs a new folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "change", "message"),
    [
        ("--data", {"output": "没有的"}, "'没有的' is not a live dialogue label"),
        ("--data", {"output": ""}, "training needs a label in 'output'"),
        ("--data", {"id": "stranger"}, "must hold the dialogue samples that .* was trained on; 2 differ"),
        ("--data", {"instruction": "判断意图。\n用户: 变了\n客服: 您好"}, "was trained on; 1 differ"),
        ("--data", None, "holds no dialogue sample"),
        ("--unlabelled", {}, "holds nothing to guess: .* was trained on all of its samples"),
        ("--unlabelled", {"id": "renamed"}, "holds nothing to guess: .* was trained on all of its samples"),
    ],
)
def test_what_does_not_fit_is_one_line_before_anything_is_trained(
    trained: tuple[Path, Path],
    tiny_set: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    option: str,
    change: dict[str, str] | None,
    message: str,
) -> None:
    records = json.loads((tiny_set / "train.json").read_text("utf-8"))
    images, dialogues = ([r for r in records if bool(r["image"]) is pictured] for pictured in (True, False))
    dialogues[0] |= change or {}
    data = images if change is None else dialogues
    (tmp_path / "d.json").write_text(json.dumps(data, ensure_ascii=False), "utf-8")
    arguments = ["--data", str(tiny_set / "train.json"), "--images", str(tiny_set / "images")]
    arguments += ["--unlabelled", str(trained[1]), "--panel", str(trained[0]), "--out", str(tmp_path / "p2")]
    assert run(pseudo_label, [*arguments, option, str(tmp_path / "d.json")]) == 1
    said = capsys.readouterr().err
    assert re.search(message, said) and said.count("\n") == 1
    assert not (tmp_path / "p2").exists()


def test_no_guess_leaves_no_file(tmp_path: Path) -> None:
    write_pseudo_labels(tmp_path / "pseudo" / "all.json", [], [], tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_link_out_of_the_old_panel_is_refused_before_anything_is_trained(
    trained: tuple[Path, Path], tiny_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(trained[0], tmp_path / "p")
    (tmp_path / "p/dialogue/notes.txt").symlink_to(tiny_set / "train.json")
    arguments = ["--data", str(tiny_set / "train.json"), "--images", str(tiny_set / "images")]
    arguments += ["--unlabelled", str(trained[1]), "--panel", str(tmp_path / "p"), "--out", str(tmp_path / "p2")]
    assert run(pseudo_label, arguments) == 1
    assert "dialogue/notes.txt lies behind a link that leads to no file of" in capsys.readouterr().err
    assert not (tmp_path / "p2").exists()


def test_experts_that_got_worse_are_put_back(
    trained: tuple[Path, Path], tiny_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = PanelFolder(trained[0]), PanelFolder(tmp_path / "p3")
    shutil.copytree(old.root, new.root)
    path = new.votes("dialogue", "dialogue_text")
    body = json.loads(path.read_text("utf-8"))
    for vote in body["votes"].values():
        vote["probabilities"] = vote["probabilities"][::-1]
    path.write_text(json.dumps(body), "utf-8")
    samples = [s for s in read_samples(tiny_set / "train.json", tiny_set / "images") if not s.images]
    keep_the_better("dialogue", samples, old, new)
    assert "the old experts are put back" in capsys.readouterr().err
    assert path.read_text("utf-8") == old.votes("dialogue", "dialogue_text").read_text("utf-8")


def test_equally_good_experts_are_put_back(
    trained: tuple[Path, Path], tiny_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import shutil

    old, new = PanelFolder(trained[0]), PanelFolder(tmp_path / "p4")
    shutil.copytree(old.root, new.root)
    samples = [s for s in read_samples(tiny_set / "train.json", tiny_set / "images") if not s.images]
    keep_the_better("dialogue", samples, old, new)
    assert "changes by +0.000 to +0.000 (95 %, n 12): the old experts are put back" in capsys.readouterr().err
