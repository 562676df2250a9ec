"""``predict --columns scores``: how sure each answer is, and which of them a person should look at."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
from records import dialogue_instruction

from ensemble import predict
from ensemble.decisions.thresholds import fit_thresholds
from ensemble.prediction.runner import _scores
from ensemble.prediction.submission import SubmissionLine, write_lines
from ensemble.prediction.worker import KeptAnswer
from ensemble.voting.distributions import read_distributions
from mire.cli import run
from mire.panel_folder import PanelFolder

ANSWER = KeptAnswer("a", (), 1, 5, margin=0.625, probability=0.75, second="b")


@pytest.mark.parametrize(
    ("threshold", "decision", "review"), [(0.75, "a", 0), (0.7500001, "", 1), (None, "", 1), (0.1, "a", 0)]
)
def test_a_decision_by_hand(threshold: float | None, decision: str, review: int) -> None:
    reasons = "unsure" if review else ""
    assert _scores(ANSWER, threshold) == (0.75, 0.625, "b", decision, review, "", reasons)
    unlike = replace(ANSWER, familiarity=0.01)
    both = "unsure, unlike" if review else "unlike"
    assert _scores(unlike, threshold) == (0.75, 0.625, "b", "", 1, 0.01, both)


def test_scores_follow_predict_and_replace_columns_of_their_names(tmp_path: Path) -> None:
    line = SubmissionLine("1", {"id": "1", "review": "old", "note": "n"}, "=a", (0.75, 0.625, "=b", "=a", 0, 0.5, ""))
    for guard, row in ((False, "1,n,=a,0.75,0.625,=b,=a,0,0.5,"), (True, "1,n,'=a,0.75,0.625,'=b,'=a,0,0.5,")):
        write_lines(tmp_path / "s.csv", [line], line.record, encoding="utf-8", for_excel=guard, scores=True)
        header = "id,note,predict,probability,margin,second,decision,review,familiarity,reasons"
        assert (tmp_path / "s.csv").read_text(encoding="utf-8").splitlines() == [header, row]


def test_a_run_with_scores_and_its_resumption_at_another_precision(
    tiny_set: Path, tiny_panel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = [r for r in json.loads((tiny_set / "train.json").read_text("utf-8")) if not r["image"]]
    (tmp_path / "d.json").write_text(json.dumps(records, ensure_ascii=False), "utf-8")
    out = tmp_path / "o.csv"
    command = ["--data", str(tmp_path / "d.json"), "--images", str(tiny_set / "images"), "--panel", str(tiny_panel)]
    command += ["--out", str(out), "--columns", "scores"]
    assert run(predict, [*command, "--precision", "0.5"]) == 0
    rows = list(csv.DictReader(out.open(encoding="utf-8-sig")))
    threshold = fit_thresholds(PanelFolder(tiny_panel), "dialogue", precision=0.5).task.threshold
    assert threshold is not None and len(rows) == 12
    for row in rows:
        sure = float(row["probability"]) >= threshold and float(row["familiarity"]) >= 0.05
        assert (row["decision"], row["review"]) == ((row["predict"], "0") if sure else ("", "1"))
        assert row["second"] not in ("", row["predict"]) and 0 <= float(row["margin"]) <= float(row["probability"])
    assert run(predict, command) == 0
    assert {row["decision"] for row in csv.DictReader(out.open(encoding="utf-8-sig"))} == {""}
    said = capsys.readouterr().err
    assert "12/12 samples were answered before" in said and "has no threshold for the dialogue task" in said


def test_the_probabilities_beside_a_finished_run(
    tiny_set: Path, tiny_panel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = [r for r in json.loads((tiny_set / "train.json").read_text("utf-8")) if not r["image"]][:4]
    records[1]["instruction"] = dialogue_instruction("用户: ")
    (tmp_path / "d.json").write_text(json.dumps(records, ensure_ascii=False), "utf-8")
    out, shares = tmp_path / "o.csv", tmp_path / "p.csv"
    command = ["--data", str(tmp_path / "d.json"), "--images", str(tiny_set / "images"), "--panel", str(tiny_panel)]
    command += ["--out", str(out), "--columns", "scores"]
    assert run(predict, command) == 0
    before = out.read_bytes()
    assert run(predict, [*command, "--probabilities", str(shares)]) == 0
    assert "/4 samples were answered before" in capsys.readouterr().err
    assert out.read_bytes() == before
    labels, found = read_distributions(shares)
    assert labels == {"dialogue": PanelFolder(tiny_panel).taxonomy("dialogue").labels}
    rows = list(csv.DictReader(out.open(encoding="utf-8-sig")))
    assert list(found) == [row["id"] for row in rows] == [record["id"] for record in records]
    for row in rows:
        each = found[row["id"]]
        first, second = sorted(each.probabilities.values())[:-3:-1]
        assert each.label == row["predict"] and round(first, 6) == float(row["probability"])
        assert round(first - second, 6) == float(row["margin"])
        # The tiny panel reads text with a linear model: no call, no token, no neural parameter.
        assert each.spent == (0, 0, 0)
    assert [each.degraded for each in found.values()] == [False, True, False, False]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--precision", "0.9"], "--precision decides what --columns scores and --review show; give one of them too"),
        (["--precision", "1.5", "--columns", "scores"], "--precision must be between 0 and 1, got 1.5"),
    ],
)
def test_a_precision_is_a_share_for_scores(options: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        run(predict, ["--data", "d", "--images", "i", "--panel", "p", "--out", "o.csv", *options])
    assert words in capsys.readouterr().err
