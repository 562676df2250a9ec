import numpy as np
import pytest

from ensemble.evaluation.calibration import calibration_error, coverage, error_by_chance, reliability

PROBABILITIES = np.array([[0.9, 0.1], [0.8, 0.2], [0.2, 0.8], [0.55, 0.45]])
TRUTH = np.array([0, 1, 1, 1])


def test_bins_by_hand() -> None:
    bins = reliability(PROBABILITIES, TRUTH)
    # 0.55 is wrong; of the two at 0.8 one is right; 0.9 is right
    assert [(part.n, part.accuracy) for part in bins] == [(1, 0.0), (2, 0.5), (1, 1.0)]
    assert [part.confidence for part in bins] == pytest.approx([0.55, 0.8, 0.9])
    assert [(part.low, part.high) for part in bins] == [(0.5, 0.6), (0.7, 0.8), (0.8, 0.9)]


def test_the_error_by_hand() -> None:
    # (1 x 0.55 + 2 x 0.3 + 1 x 0.1) / 4
    assert calibration_error(reliability(PROBABILITIES, TRUTH)) == pytest.approx(0.3125)


def test_sure_and_right_has_no_error() -> None:
    assert calibration_error(reliability(np.eye(3), np.arange(3))) == 0


def test_coverage_starts_with_the_surest() -> None:
    pairs = dict(coverage(PROBABILITIES, TRUTH))
    # 0.9 right; then the first 0.8 wrong, the second right; 0.55 wrong
    assert (pairs[0.1], pairs[0.5], pairs[0.8], pairs[1.0]) == (1.0, 0.5, pytest.approx(2 / 3), 0.5)


def test_a_calibrated_panel_errs_by_chance_and_less_with_more_answers() -> None:
    rng = np.random.default_rng(1)
    top = rng.uniform(0.5, 1.0, 800)
    probabilities = np.stack([top, 1 - top], axis=1)
    truth = np.where(rng.random(800) < top, 0, 1)
    few, many = error_by_chance(probabilities[:50]), error_by_chance(probabilities)
    assert 0 < many.mean < many.high < few.mean < few.high
    assert calibration_error(reliability(probabilities, truth)) < many.high
    overconfident = np.clip(probabilities + np.array([0.2, -0.2]), 0.0, 1.0)
    assert calibration_error(reliability(overconfident, truth)) > error_by_chance(overconfident).high


def test_certain_answers_cannot_err_by_chance() -> None:
    assert error_by_chance(np.eye(3)).high == 0
