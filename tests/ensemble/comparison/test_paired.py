"""Statistics of systems on the same samples, by hand."""

import numpy as np
import pytest

from ensemble.comparison.paired import MEAN, Comparison, Measured, Row, compare, mcnemar
from ensemble.comparison.systems import TaskAnswers
from mire.metrics import N_RESAMPLES

TRUTH = tuple("aaaabb")
HALF = tuple("aabbbb")
"""Two of six wrong: either label has F1 2 * 2 / (4 + 2), so the weighted F1 is 2/3."""


def compared(truth: tuple[str, ...] = TRUTH, **systems: tuple[tuple[str | None, ...], ...]) -> Comparison:
    return compare({"image": TaskAnswers(truth, systems)})


def row_of(comparison: Comparison, system: str, *, task: str = "image", label: str = "") -> Row:
    (row,) = [row for row in comparison.rows if (row.system, row.task, row.label) == (system, task, label)]
    return row


@pytest.mark.parametrize(
    ("first", "second", "p"),
    [
        ([1, 1, 0], [1, 1, 0], 1.0),
        ([0, 0, 1], [1, 1, 1], 0.5),  # 2 x 1/4
        ([0] * 5 + [1, 1], [1] * 5 + [0, 1], 0.21875),  # 5 against 1: 2 x (1 + 6) / 64
    ],
)
def test_mcnemar_by_hand(first: list[int], second: list[int], p: float) -> None:
    assert mcnemar(np.array(first, dtype=bool), np.array(second, dtype=bool)) == pytest.approx(p)


def test_a_difference_by_hand() -> None:
    comparison = compared(old=(HALF,), new=(TRUTH,))
    old, new = row_of(comparison, "old"), row_of(comparison, "new")
    assert (old.n, old.runs, old.f1, old.sd) == (6, 1, pytest.approx(2 / 3), None)
    assert (old.difference, old.mcnemar_p) == (None, None)
    assert (new.f1, new.low, new.high) == (1, 1, 1)
    assert (new.difference, new.mcnemar_p) == (pytest.approx(1 / 3), pytest.approx(0.5))
    # The same resamples on both sides: the new one is right on all, so the difference is what the old one lacks.
    assert old.low is not None and new.difference_high == pytest.approx(1 - old.low)


def test_labels_are_ordered_by_their_samples() -> None:
    comparison = compared(tuple("baaaab"), old=(tuple("baabbb"),), new=(tuple("baaaab"),))
    labels = [row for row in comparison.rows if row.label and row.system == "new"]
    assert [(row.label, row.n, row.f1) for row in labels] == [("a", 4, 1), ("b", 2, 1)]
    assert [row.difference for row in labels] == pytest.approx([1 / 3, 1 / 3])
    assert row_of(comparison, "old", label="a").difference is None


def test_several_runs_are_told_as_mean_and_deviation() -> None:
    comparison = compared(old=(HALF, HALF), new=(TRUTH, HALF))
    new = row_of(comparison, "new")
    assert (new.runs, new.f1, new.sd) == (2, pytest.approx(5 / 6), pytest.approx(1 / 3 / 2**0.5))
    assert (new.difference, new.mcnemar_p) == (pytest.approx(1 / 6), None)
    assert row_of(comparison, "old").sd == 0


def test_a_run_is_judged_by_what_it_was_asked() -> None:
    """The first runs are asked four samples a, a, a, b, the second ones the a and the b that follow."""
    truth, nothing = tuple("aaabab"), (None,)
    old = (tuple("aabb") + nothing * 2, nothing * 4 + tuple("ab"))
    new = (tuple("aaab") + nothing * 2, nothing * 4 + tuple("bb"))
    comparison = compared(truth, old=old, new=new)
    # First run of the old one: a 2 * 2 / (3 + 2), b 2 * 1 / (1 + 2), weighted 3 to 1. Second of the new: a 0, b 2/3.
    assert row_of(comparison, "old").f1 == pytest.approx(((3 * 0.8 + 2 / 3) / 4 + 1) / 2)
    assert row_of(comparison, "new").f1 == pytest.approx((1 + 1 / 3) / 2)
    assert (row_of(comparison, "new").n, row_of(comparison, "new").runs) == (6, 2)
    assert row_of(comparison, "new", label="a").difference == pytest.approx((1 + 0) / 2 - (0.8 + 1) / 2)


def test_a_label_s_runs_are_those_that_were_asked_it() -> None:
    comparison = compared(tuple("aab"), only=((*"aa", None), (*"a", None, "b")))
    assert (row_of(comparison, "only", label="a").runs, row_of(comparison, "only", label="b").runs) == (2, 1)
    assert row_of(comparison, "only", label="b").f1 == 1


def test_runs_are_resampled_as_samples_are() -> None:
    always = Measured(np.array([1.0, 0.0]), np.array([[1.0] * N_RESAMPLES, [0.0] * N_RESAMPLES]), np.ones((2, 1), bool))
    values, counts = np.unique(always.resampled_mean(), return_counts=True)
    assert values.tolist() == [0, 0.5, 1]
    assert counts / N_RESAMPLES == pytest.approx([0.25, 0.5, 0.25], abs=0.03)


def test_the_mean_is_over_tasks() -> None:
    image, dialogue = (
        TaskAnswers(TRUTH, {"old": (HALF,), "new": (TRUTH,)}),
        TaskAnswers(("c",), {"old": (("c",),), "new": (("d",),)}),
    )
    mean = row_of(compare({"image": image, "dialogue": dialogue}), "new", task=MEAN)
    assert (mean.n, mean.f1, mean.difference) == (7, 0.5, pytest.approx(0.5 - 5 / 6))
    assert mean.mcnemar_p == 1  # two samples against one: 2 x (1 + 3) / 8


def test_no_winner_is_declared_inside_the_noise() -> None:
    truth = tuple("ab" * 50)
    worse = (*"bababa", *truth[6:])
    assert compared(truth, old=(worse,), new=(truth,)).verdict == "new is better than old by 0.060"
    assert compared(truth, old=(truth,), new=(worse,)).verdict == "new is worse than old by 0.060"
    # 6 to 0 is p = 0.031: enough for one comparison, not for one of two
    twice = compared(truth, old=(worse,), new=(truth,), third=(worse,))
    assert twice.verdict == "no difference beyond noise between old and new, third"
    # of six samples all resamples but one in 700 agree, and still it may be luck
    assert compared(old=(HALF,), new=(TRUTH,)).verdict == "no difference beyond noise between old and new"


def test_one_system_has_nothing_beside_it() -> None:
    assert compared(only=(TRUTH, HALF)).verdict == "one system: nothing to compare it with"
