import numpy as np
import pytest

from ensemble.evidence import Evidence
from ensemble.judge import System, contributions, judge, subsets
from ensemble.weights import Ballot, Weights
from mire.budget import Cost
from mire.labels import builtin_taxonomy
from mire.prompts import parse_prompt
from mire.samples import Sample
from mire.votes import Vote

TAXONOMY = builtin_taxonomy("image")
TRUTH = (0, 0, 1, 1)


def evidence(**guesses: tuple[int, ...]) -> Evidence:
    """Each voter is sure of the place that it guesses for each of four samples; all weigh alike."""
    samples = tuple(Sample(str(row), parse_prompt("<image>")) for row in range(4))
    sure = np.full((23, 23), 0.001) + 0.9 * np.eye(23)
    votes = {
        name: [Vote(name, str(row), tuple(sure[place] / sure[place].sum())) for row, place in enumerate(places)]
        for name, places in guesses.items()
    }
    return Evidence(
        task="image",
        taxonomy=TAXONOMY,
        samples=samples,
        truth=np.array(TRUTH),
        votes=dict(votes),
        costs={name: Cost(1, 10 + place) for place, name in enumerate(guesses)},
        out_of_fold=False,
        weights=lambda names: [(np.arange(4), Weights(voters={name: Ballot() for name in names}))],
    )


def test_a_system_by_hand() -> None:
    system = judge(evidence(a=(0, 0, 1, 2), b=TRUTH), ("a",))
    # label 0 is found twice; label 1 once of twice: F1 1 and 2/3, each with half of the samples
    assert system.figures["f1"] == pytest.approx((1 + 2 / 3) / 2)
    assert (system.figures["n"], system.figures["calls"], system.figures["output_tokens"]) == (4, 1, 10)
    assert system.resamples.shape == (2000,)


def test_costs_add_up() -> None:
    figures = judge(evidence(a=TRUTH, b=TRUTH, c=TRUTH), ("a", "c")).figures
    assert (figures["f1"], figures["calls"], figures["output_tokens"]) == (1.0, 2, 22)


def test_every_voter_pair_and_panel_once() -> None:
    assert subsets(("a", "b")) == [("a",), ("b",), ("a", "b")]
    assert subsets(("a", "b", "c"))[3:] == [("a", "b"), ("a", "c"), ("b", "c"), ("a", "b", "c")]


def known(**f1: float) -> dict[tuple[str, ...], System]:
    return {
        tuple(names): System(tuple(names), {"f1": value}, np.array([value, value + 0.25]))
        for names, value in f1.items()
    }


def test_contributions_by_hand() -> None:
    systems = known(a=0.5, b=0.625, c=0.25, ab=0.75, bc=0.5, ac=0.5, abc=0.8125)
    found = contributions(("a", "b", "c"), systems.__getitem__)
    assert {step["voter"]: step["change"] for step in found["left_out"]} == {"a": 0.3125, "b": 0.3125, "c": 0.0625}
    # b is best alone, then a, then c
    assert [(step["voter"], step["change"]) for step in found["added"]] == [("b", 0.625), ("a", 0.125), ("c", 0.0625)]
    # the resamples move together, so that the difference does not vary
    assert [(step["low"], step["high"]) for step in found["left_out"]][2] == pytest.approx((0.0625, 0.0625))


def test_one_voter_is_left_out_of_nothing() -> None:
    found = contributions(("a",), known(a=0.5).__getitem__)
    assert found["left_out"] == [] and [step["change"] for step in found["added"]] == [0.5]
