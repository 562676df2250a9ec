"""Drift: by hand, and at the command line on answers that have and have not changed."""

import csv
import json
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest

from ensemble import drift
from ensemble.decisions.drift import estimated_accuracy, mix_test, sureness_test
from ensemble.decisions.thresholds import out_of_fold_answers
from mire.cli import run
from mire.panel_folder import PanelFolder

COLUMNS = ("id", "instruction", "predict", "probability", "margin", "second", "decision", "review", "familiarity")


def test_a_label_mix_by_hand() -> None:
    # shares 1/2, 1/2 and 3/4, 1/4: half of 1/4 + 1/4
    assert mix_test(np.array([50, 50]), np.array([75, 25]), 0.01).distance == pytest.approx(0.25)
    assert mix_test(np.array([50, 50]), np.array([75, 25]), 0.01).drifted
    assert mix_test(np.array([50, 50]), np.array([50, 50]), 0.01).p_value == 1
    # sure, but too small to matter: 0.05
    assert not mix_test(np.array([5000, 5000]), np.array([5500, 4500]), 0.01).drifted


def test_false_alarms_are_no_more_than_promised() -> None:
    rng = np.random.default_rng(1)
    shares = np.array([0.5, 0.3, 0.15, 0.05])
    p_values = [mix_test(rng.multinomial(60, shares), rng.multinomial(40, shares), 0.1).p_value for _ in range(100)]
    assert np.mean(np.array(p_values) < 0.1) <= 0.16  # 10 of 100 expected, standard error 3


def test_probabilities_by_hand() -> None:
    before = np.linspace(0.5, 0.99, 50)
    assert sureness_test(before, before, 0.01).distance == 0
    found = sureness_test(before, before - 0.5, 0.01)
    assert (found.distance, found.drifted) == (1, True)


def test_an_estimated_accuracy_by_hand() -> None:
    # before: probabilities of 0.8, 60 of 100 right, so 0.2 too high; now 0.9
    right = np.arange(100) < 60
    found = estimated_accuracy(np.full(100, 0.8), right, np.full(10, 0.9))
    half = NormalDist().inv_cdf(0.975) * (0.24 / 100) ** 0.5
    assert (found.now, found.before) == (pytest.approx(0.7), 0.6)
    assert (found.interval.low, found.interval.high) == (pytest.approx(0.7 - half), pytest.approx(0.7 + half))


def write(path: Path, rows: list[dict[str, object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="")
        writer.writeheader()
        writer.writerows(rows)


def as_before(panel: PanelFolder) -> list[dict[str, object]]:
    """Ten times the answers of the training, out of fold, of both tasks."""
    rows: list[dict[str, object]] = []
    for task in panel.trained_tasks():
        found = out_of_fold_answers(panel, task)
        labels = panel.taxonomy(task).labels
        pairs = [(labels[place], p) for place, p in zip(found.answers, found.probability, strict=True)] * 10
        rows += [
            {"id": f"{task}{n}", "predict": name, "probability": p, "review": 0} for n, (name, p) in enumerate(pairs)
        ]
    return rows


@pytest.mark.slow
def test_the_command_tells_drift_from_none(
    tiny_panel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = as_before(PanelFolder(tiny_panel))
    command = ["--panel", str(tiny_panel), "--scores", str(tmp_path / "s.csv"), "--out", str(tmp_path / "out")]
    write(tmp_path / "s.csv", rows)
    assert run(drift, command) == 0
    assert "dialogue: no drift, 120 answers" in capsys.readouterr().out
    for row in rows:
        if str(row["id"]).startswith("dialogue"):
            row |= {"predict": "气泡", "review": 1, "instruction": "", "probability": 0.05}
        else:
            row |= {"instruction": "Picture 1: <image>"}
    write(tmp_path / "s.csv", rows)
    (tmp_path / "s.report.json").write_text('{"degraded": {"dialogue0": ["x"]}}')
    with pytest.raises(SystemExit, match="3"):
        run(drift, command)
    assert "dialogue: labels and probabilities drifted" in capsys.readouterr().out
    found = json.loads((tmp_path / "out" / "drift.json").read_text("utf-8"))
    dialogue, image = found["tasks"]["dialogue"], found["tasks"]["image"]
    assert (found["drifted"], dialogue["drifted"], image["drifted"]) == (True, True, False)
    assert (dialogue["grown"][0]["label"], dialogue["grown"][0]["now"]) == ("气泡", 1)
    assert dialogue["grown"][0]["examples"] == [f"dialogue{n}" for n in range(5)]
    assert (dialogue["review"]["now"], dialogue["degraded"]["now"]) == (1, pytest.approx(1 / 120))
    assert (dialogue["fallback"], image["fallback"]["now"]) == (None, 1)
    page = (tmp_path / "out" / "drift.html").read_text("utf-8")
    assert page.count("<svg") == 4 and "气泡" in page
    assert "http" not in page.replace("http://www.w3.org", "")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("id,predict\n1,a\n", "has no column 'probability'; write it with mire predict --columns scores"),
        ("id,predict,probability,review\n", "holds no answers"),
        ("id,predict,probability,review\n1,dog,0.5,0\n", "row 2: 'dog' is no label of this panel"),
        ("id,predict,probability,review\n1,气泡,2,0\n", "row 2: 'probability' must be from 0 to 1, got '2'"),
    ],
)
def test_files_that_are_no_scores(
    tiny_panel: Path, tmp_path: Path, text: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "s.csv").write_text(text, encoding="utf-8")
    command = ["--panel", str(tiny_panel), "--scores", str(tmp_path / "s.csv"), "--out", str(tmp_path / "out")]
    assert run(drift, command) == 1
    assert reason in capsys.readouterr().err
