"""Thresholds: by hand, at the command line, and whether their promise is kept."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from ensemble import threshold
from ensemble.decisions.thresholds import decision_thresholds, find_threshold
from ensemble.voting.fitting import fit_panel
from mire.cli import run
from mire.panel_folder import PanelFolder


def test_a_threshold_by_hand() -> None:
    # 60 sure answers, all right, and 40 unsure ones, all wrong; 0.05 ** (1 / 60) = 0.9513, and 60 of 61 have 0.925
    probability = np.append(np.linspace(0.999, 0.99, 60), np.linspace(0.4, 0.3, 40))
    found = find_threshold(probability, np.arange(100) < 60, precision=0.95)
    assert (found.threshold, found.coverage, found.n) == (pytest.approx(0.99), 0.6, 100)
    assert found.bound == pytest.approx(0.9513, abs=1e-4)


def test_equal_probabilities_stand_or_fall_together() -> None:
    # of 61 equal answers one is wrong: the 60 right ones cannot be told from it
    right = np.arange(61) > 0
    assert find_threshold(np.full(61, 0.99), right, precision=0.95).threshold is None
    assert find_threshold(np.where(right, 0.99, 0.98), right, precision=0.95).threshold == 0.99


def test_58_right_answers_are_no_proof_of_95_in_100() -> None:
    assert find_threshold(np.full(58, 0.999), np.full(58, True), precision=0.95).threshold is None
    assert find_threshold(np.full(59, 0.999), np.full(59, True), precision=0.95).coverage == 1


def test_the_promise_is_broken_no_more_often_than_it_says() -> None:
    """Of calibrated answers, 0.84 of them right: the threshold has less than 0.9 in at most 5 % of draws."""
    rng = np.random.default_rng(0)

    def draw(n: int) -> np.ndarray:
        return np.asarray(1 / (1 + np.exp(-rng.normal(2.6, 2.0, n))))

    everything = np.sort(draw(100_000))
    above = np.cumsum(everything[::-1])[::-1] / np.arange(100_000, 0, -1)
    n_broken, n_found, n_naive, n_draws = 0, 0, 0, 200
    for _ in range(n_draws):
        probability = draw(250)
        right = rng.random(250) < probability
        found = find_threshold(probability, right, precision=0.9).threshold
        if found is not None:
            n_found += 1
            n_broken += above[min(np.searchsorted(everything, found), 99_999)] < 0.9
        order = np.argsort(-probability)
        seen = np.cumsum(right[order]) / np.arange(1, 251)
        lowest = probability[order][np.flatnonzero(seen >= 0.9)[-1]]
        n_naive += above[min(np.searchsorted(everything, lowest), 99_999)] < 0.9
    # 5 % and two standard errors; taking the lowest threshold that looks good breaks it about every second time
    assert n_broken <= 0.05 * n_draws + 2 * (0.05 * 0.95 * n_draws) ** 0.5
    assert n_found > 0.95 * n_draws and n_naive > 0.3 * n_draws


@pytest.fixture
def panel(tiny_panel: Path, tmp_path: Path) -> PanelFolder:
    shutil.copytree(tiny_panel, tmp_path / "p")
    return PanelFolder(tmp_path / "p")


def test_no_threshold_is_an_answer(panel: PanelFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(threshold, ["--panel", str(panel.root), "--precision", "0.95"]) == 0
    rows = capsys.readouterr().out.splitlines()[1:]
    assert [row.split()[0] for row in rows] == ["image", "dialogue"]
    assert all(row.endswith("12  (all): no threshold reaches it") for row in rows)
    assert decision_thresholds(panel, ("image",)) == {"image": None}


def test_a_threshold_is_written_and_goes_when_the_vote_is_fitted_again(
    panel: PanelFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(threshold, ["--panel", str(panel.root), "--precision", "0.5", "--confidence", "0.9"]) == 0
    assert "dialogue     0.5 " in capsys.readouterr().out
    kept = json.loads(panel.thresholds("dialogue").read_text())
    assert (kept["precision"], kept["confidence"], kept["task"]["n"]) == (0.5, 0.9, 12)
    assert decision_thresholds(panel, ["dialogue"]) == {"dialogue": kept["task"]["threshold"]} != {"dialogue": None}
    fit_panel(panel, "dialogue")
    assert not panel.thresholds("dialogue").exists()
    assert decision_thresholds(panel, ["dialogue"]) == {"dialogue": None}
    assert "has no threshold for the dialogue task" in capsys.readouterr().err


@pytest.mark.parametrize(("option", "value"), [("--precision", "1"), ("--precision", "95"), ("--confidence", "0")])
def test_shares_lie_between_0_and_1(option: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        run(threshold, ["--panel", "p", "--precision", "0.9", option, value])
    assert f"{option} must be between 0 and 1, got {float(value)}" in capsys.readouterr().err


def test_a_folder_without_experts_has_no_thresholds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(threshold, ["--panel", str(tmp_path), "--precision", "0.9"]) == 1
    assert "holds no trained experts; train some with" in capsys.readouterr().err
