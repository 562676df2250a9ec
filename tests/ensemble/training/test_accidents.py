"""The rules that name a training's accidents, on numbers made by hand."""

import numpy as np
import pytest

from ensemble.training.accidents import (
    Probes,
    check_training,
    ignores,
    loss_rose,
    never_answered,
    one_label,
    worse_than_base,
)

LABELS = ("rust", "stock", "season")


def answers(*counts: int) -> np.ndarray:
    """So many answers of each label, in the labels' order."""
    return np.repeat(np.arange(len(counts)), counts)


@pytest.mark.parametrize(
    ("answered", "truth", "told"),
    [
        ((0, 39, 1), (14, 13, 13), "98% of 40 answers are stock, which 32% of the samples have"),
        ((0, 37, 3), (14, 13, 13), None),  # 93 %
        ((0, 40, 0), (1, 37, 2), None),  # 93 % of the samples have it
        ((0, 19, 0), (7, 6, 6), None),  # too few
    ],
)
def test_one_label(answered: tuple[int, ...], truth: tuple[int, ...], told: str | None) -> None:
    found = one_label(answers(*answered), answers(*truth), LABELS)
    assert found == told if told is None else found is not None and found.startswith(f"{told}; usually")


@pytest.mark.parametrize(
    ("right", "base_right", "worse"),
    [
        # The base alone is right on five, the voter alone on none: 0.5 ** 5 is 0.031.
        ([False] * 5 + [True] * 15, [True] * 20, True),
        # On four: 0.0625.
        ([False] * 4 + [True] * 16, [True] * 20, False),
        # Six against two: 37 of 256.
        ([False] * 6 + [True] * 2, [True] * 6 + [False] * 2, False),
        ([True] * 20, [False] * 20, False),
        ([], [], False),
    ],
)
def test_worse_than_the_base(right: list[bool], base_right: list[bool], worse: bool) -> None:
    found = worse_than_base(np.array(right, dtype=bool), np.array(base_right, dtype=bool))
    assert (found is not None) == worse
    if found and worse:
        assert found.startswith("it is right on 75% of 20 samples, its base without training on 100%; usually")


@pytest.mark.parametrize(
    ("losses", "rose"),
    [
        ([1.0, 0.5, 0.63], True),  # 1.26 times 0.5
        ([1.0, 0.5, 0.62], False),
        ([1.0, 0.02, 0.06], False),  # three times as high, but by 0.04
        ([1.0], False),
        ([], False),
    ],
)
def test_a_loss_that_rose(losses: list[float], rose: bool) -> None:
    assert (loss_rose(losses) is not None) == rose


def test_labels_that_are_never_answered() -> None:
    assert never_answered(answers(20, 0, 9), answers(14, 7, 8), LABELS) is None, "seven samples are too few"
    found = never_answered(answers(29, 0, 0), answers(12, 8, 9), LABELS)
    assert found is not None and found.startswith("never answered: stock (8 samples), season (9 samples); usually")


@pytest.mark.parametrize(("n_same", "n", "found"), [(19, 20, True), (18, 20, False), (19, 19, False)])
def test_what_is_ignored(n_same: int, n: int, found: bool) -> None:
    before, after = answers(0, n), answers(n - n_same, n_same)
    told = ignores("grey pictures", before, after)
    assert (told is not None) == found
    if told:
        assert told.startswith("pictures are ignored, 95% of 20 samples get the same answer with grey ones; usually")
    assert (ignores("reversed turns", before, after) is not None) == found


def test_what_follows_from_one_label_is_left_out() -> None:
    """Answers that are all alike stay with grey pictures, and most labels are never answered."""
    one, truth = answers(0, 30, 0), answers(10, 10, 10)
    probes = Probes([2.0, 1.0], truth == 1, truth == 0, {"grey pictures": (one, one)})
    checks = check_training(one, truth, LABELS, probes)
    assert [each.split(",")[0] for each in checks.accidents] == ["100% of 30 answers are stock"]
    third = pytest.approx(1 / 3)
    assert checks.figures == {
        "same answer with grey pictures": (1.0, 30),
        "most frequent answer": (1.0, 30),
        "right": (third, 30),
        "right without training": (third, 30),
    }


def test_a_sound_training_has_no_accident() -> None:
    truth = answers(10, 10, 10)
    probes = Probes([2.0, 1.0], truth >= 0, truth == 0, {"reversed turns": (truth, answers(30))})
    checks = check_training(truth, truth, LABELS, probes)
    assert checks.accidents == () and checks.figures["same answer with reversed turns"] == (pytest.approx(1 / 3), 30)


def test_without_a_held_out_sample_nothing_is_told() -> None:
    nothing = check_training(np.array([], int), np.array([], int), LABELS, Probes())
    assert (nothing.figures, nothing.accidents) == ({}, ())
