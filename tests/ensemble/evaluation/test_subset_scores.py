import numpy as np
import pytest
from evidence import evidence

from ensemble.evaluation.subset_scores import SubsetScore, contributions, score_subset, subsets
from ensemble.report.ablation_result import SubsetFigures
from mire.labels import builtin_taxonomy

TAXONOMY = builtin_taxonomy("image")
TRUTH = (0, 0, 1, 1)


def test_a_subset_by_hand() -> None:
    system = score_subset(evidence(a=(0, 0, 1, 2), b=TRUTH), ("a",))
    # label 0 is found twice; label 1 once of twice: F1 1 and 2/3, each with half of the samples
    assert system.figures.f1 == pytest.approx((1 + 2 / 3) / 2)
    assert (system.figures.n, system.figures.calls, system.figures.output_tokens) == (4, 1, 10)
    assert system.resamples.shape == (2000,)


def test_costs_add_up() -> None:
    figures = score_subset(evidence(a=TRUTH, b=TRUTH, c=TRUTH), ("a", "c")).figures
    assert (figures.f1, figures.calls, figures.output_tokens) == (1.0, 2, 22)


def test_every_voter_pair_and_panel_once() -> None:
    assert subsets(("a", "b")) == [("a",), ("b",), ("a", "b")]
    assert subsets(("a", "b", "c"))[3:] == [("a", "b"), ("a", "c"), ("b", "c"), ("a", "b", "c")]


def known(**f1: float) -> dict[tuple[str, ...], SubsetScore]:
    return {
        tuple(names): SubsetScore(
            SubsetFigures.model_construct(voters=tuple(names), f1=value), np.array([value, value + 0.25])
        )
        for names, value in f1.items()
    }


def test_contributions_by_hand() -> None:
    systems = known(a=0.5, b=0.625, c=0.25, ab=0.75, bc=0.5, ac=0.5, abc=0.8125)
    found = contributions(("a", "b", "c"), systems.__getitem__)
    assert {step.voter: step.change for step in found.left_out} == {"a": 0.3125, "b": 0.3125, "c": 0.0625}
    # b is best alone, then a, then c
    assert [(step.voter, step.change) for step in found.added] == [("b", 0.625), ("a", 0.125), ("c", 0.0625)]
    # the resamples move together, so that the difference does not vary
    assert [(step.low, step.high) for step in found.left_out][2] == pytest.approx((0.0625, 0.0625))


def test_one_voter_is_left_out_of_nothing() -> None:
    found = contributions(("a",), known(a=0.5).__getitem__)
    assert found.left_out == () and [step.change for step in found.added] == [0.5]
