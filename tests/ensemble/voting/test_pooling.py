import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ensemble.voting.pooling import log_linear, majority, sharpen, winners
from ensemble.voting.weights import VoterWeight, Weights


def rows(*values: list[float]) -> np.ndarray:
    return np.array(values)


def test_log_linear_by_hand() -> None:
    # weights 3 and 1 of 4: 0.8^.75 * 0.2^.25 = 0.56569, 0.2^.75 * 0.8^.25 = 0.28284; normalised 2/3, 1/3
    pooled = log_linear([rows([0.8, 0.2]), rows([0.2, 0.8])], [3.0, 1.0])
    assert pooled[0].tolist() == pytest.approx([2 / 3, 1 / 3])


def test_equal_weights_are_the_normalised_geometric_mean() -> None:
    # sqrt(.9*.1) = .3, sqrt(.1*.4) = .2; normalised .6, .4 (a third label has no chance with either)
    pooled = log_linear([rows([0.9, 0.1]), rows([0.1, 0.4])], [1, 1])
    assert pooled[0].tolist() == pytest.approx([0.6, 0.4])


def test_a_zero_is_no_veto() -> None:
    pooled = log_linear([rows([0.0, 1.0]), rows([1.0, 0.0])], [0.9, 0.1])
    assert winners(pooled).tolist() == [1]
    assert (pooled > 0).all()


def test_majority_gives_the_whole_weight_to_the_first_label() -> None:
    votes = [rows([0.4, 0.35, 0.25]), rows([0.0, 0.55, 0.45]), rows([0.0, 0.55, 0.45])]
    assert winners(majority(votes, [1, 1, 1])).tolist() == [1]
    assert winners(majority(votes, [3, 1, 1])).tolist() == [0]


def test_a_tie_goes_to_the_higher_mean_probability() -> None:
    votes = [rows([0.6, 0.4]), rows([0.1, 0.9])]
    assert winners(majority(votes, [1, 1])).tolist() == [1]


def test_an_exact_tie_goes_to_the_first_label() -> None:
    votes = [rows([0.7, 0.3]), rows([0.3, 0.7])]
    assert winners(majority(votes, [1, 1])).tolist() == [0]
    assert winners(log_linear(votes, [1, 1])).tolist() == [0]


def test_temperatures_by_hand() -> None:
    # sqrt(.9) : sqrt(.1) = 3 : 1
    assert sharpen(rows([0.9, 0.1]), 2.0)[0].tolist() == pytest.approx([0.75, 0.25])
    # .75^2 : .25^2 = 9 : 1
    assert sharpen(rows([0.75, 0.25]), 0.5)[0].tolist() == pytest.approx([0.9, 0.1])
    with pytest.raises(ValueError, match="a temperature must be above zero, got 0"):
        sharpen(rows([0.5, 0.5]), 0)


@pytest.mark.parametrize("rule", [log_linear, majority])
@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([], "got 1 voters and 0 weights"),
        ([1, 1], "got 1 voters and 2 weights"),
        ([-1], "must not be negative"),
        ([0], "not all zero"),
    ],
)
def test_impossible_weights(rule: object, weights: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rule([rows([0.5, 0.5])], weights)  # type: ignore[operator]


@given(
    st.lists(st.lists(st.floats(0, 1), min_size=3, max_size=3), min_size=1, max_size=4),
    st.lists(st.floats(0.01, 5), min_size=4, max_size=4),
)
def test_the_order_of_voters_does_not_matter(votes: list[list[float]], weights: list[float]) -> None:
    arrays = [rows(vote) + 1e-3 for vote in votes]
    shares = weights[: len(arrays)]
    for rule in (log_linear, majority):
        there = rule(arrays, shares)
        back = rule(arrays[::-1], shares[::-1])
        np.testing.assert_allclose(there, back, atol=1e-9)
        assert there.sum() == pytest.approx(1)


def test_only_votes_that_reach_an_added_label_say_how_probable_it_is() -> None:
    voters = {"short": VoterWeight(weight=1.0), "long": VoterWeight(weight=0.0)}
    weights = Weights(voters=voters, uniform_share=0.1)
    votes = {"short": rows([0.9, 0.1], [0.9, 0.1]), "long": rows([0.1, 0.3, 0.6], [0.0, 0.0, 1.0])}
    pooled = weights.pool(votes)
    # The rest is divided as before: 0.9 * 0.9 + 0.1 / 2 = 0.86 of 0.4.
    assert pooled[0].tolist() == pytest.approx([0.344, 0.056, 0.6])
    assert pooled[1].tolist() == pytest.approx([0, 0, 1], abs=1e-5)
    assert weights.pool({"short": votes["short"]})[0].tolist() == pytest.approx([0.86, 0.14])
    assert weights.pool({"long": votes["long"]}).shape == (2, 3)


def test_an_added_label_keeps_its_voters_temperature() -> None:
    weights = Weights(voters={"short": VoterWeight(), "long": VoterWeight(temperature=2.0)})
    pooled = weights.pool({"short": rows([0.8, 0.2]), "long": rows([0.16, 0.04, 0.36])})
    # sqrt(.16) : sqrt(.04) : sqrt(.36) = 2 : 1 : 3; of the rest sqrt(.8 * 2/3) : sqrt(.2 * 1/3) = sqrt(8) : 1
    rest = 0.5 / (8**0.5 + 1)
    assert pooled[0].tolist() == pytest.approx([rest * 8**0.5, rest, 0.5])
