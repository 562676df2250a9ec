import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mire.metrics import METRICS, interval, mean_f1, resampled_f1, scores, wilson


def test_the_official_readmes_example() -> None:
    result = scores(
        ["a", "d", "d", "a", "c", "a", "c", "a", "a", "a"], ["d", "b", "a", "b", "c", "a", "a", "a", "a", "a"]
    )
    assert (result.n, result.accuracy, result.figures["recall"]) == (10, 0.5, 0.5)
    assert result.f1 == pytest.approx(0.5333, abs=5e-5)
    assert result.figures["precision"] == pytest.approx(0.6)


def test_macro_f1_by_hand() -> None:
    # a: precision 1, recall 1/2, F1 2/3; b: precision 1/2, recall 1, F1 2/3
    result = scores(["a", "a", "b"], ["a", "b", "b"])
    assert result.figures["macro_f1"] == pytest.approx(2 / 3)


@pytest.mark.parametrize(("truth", "predicted"), [([], []), (["a"], ["a", "b"])])
def test_lengths_must_agree(truth: list[str], predicted: list[str]) -> None:
    with pytest.raises(ValueError, match="must be equally long and not empty"):
        scores(truth, predicted)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abcd")), min_size=1, max_size=30))
def test_our_resampled_f1_is_scikit_learns(pairs: list[tuple[str, str]]) -> None:
    from mire.metrics import _weighted_f1

    truth, predicted = zip(*pairs, strict=True)
    places = {name: place for place, name in enumerate("abcd")}
    cells = [places[true] * 4 + places[guess] for true, guess in pairs]
    ours, perfect = _weighted_f1(np.array([cells, [places[true] * 5 for true in truth]]), 4)
    assert ours == pytest.approx(METRICS["f1"](truth, predicted))
    assert perfect == 1


def test_resamples_repeat_and_bracket_the_figure() -> None:
    truth, predicted = ["a", "b"] * 40, ["a", "b", "b", "b"] * 20
    first = resampled_f1(truth, predicted)
    assert np.array_equal(first, resampled_f1(truth, predicted))
    bounds = interval(first)
    assert bounds.low < scores(truth, predicted).f1 < bounds.high


def test_the_mean_needs_both_tasks() -> None:
    assert mean_f1({"image": 0.5, "dialogue": 0.7}) == pytest.approx(0.6)
    assert mean_f1({"image": 0.5}) is None


def test_wilsons_interval_by_hand() -> None:
    # z^2 = 3.8415; n = 10, all right: (10 + 1.9207) / 13.8415 = 0.8612, and half the width 0.1388
    bounds = wilson(10, 10)
    assert (bounds.low, bounds.high) == (pytest.approx(0.7225, abs=1e-4), pytest.approx(1.0))
    assert wilson(5, 10).low == pytest.approx(1 - wilson(5, 10).high)
