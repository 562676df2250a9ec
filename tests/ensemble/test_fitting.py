import numpy as np
import pytest

from ensemble.fitting import fit_weights
from ensemble.oof_votes import OutOfFoldVotes
from mire.budget import Cost


def box(rng: np.random.Generator, n: int, **skill: float) -> OutOfFoldVotes:
    """Votes over 4 labels; each voter is right with its own probability and says 0.7 to its choice."""
    truth = rng.integers(0, 4, n)
    votes = {}
    for name, chance in skill.items():
        choice = np.where(rng.random(n) < chance, truth, rng.integers(0, 4, n))
        votes[name] = np.full((n, 4), 0.1) + 0.6 * np.eye(4)[choice]
    return OutOfFoldVotes(tuple(map(str, range(n))), truth, votes, dict.fromkeys(skill, Cost(1, 5)))


def test_the_better_voter_gets_more_weight() -> None:
    weights = fit_weights(box(np.random.default_rng(0), 400, good=0.9, bad=0.3), "log_linear")
    assert weights.voters["good"].weight > weights.voters["bad"].weight
    assert sum(ballot.weight for ballot in weights.voters.values()) == pytest.approx(1)
    assert weights.n_fitted == 400


def test_an_overconfident_voter_is_flattened_and_a_modest_one_sharpened() -> None:
    weights = fit_weights(box(np.random.default_rng(0), 400, guess=0.0, sure=1.0), "log_linear")
    assert weights.voters["guess"].temperature > 1 > weights.voters["sure"].temperature


def test_few_votes_hardly_move_the_weights() -> None:
    weights = fit_weights(box(np.random.default_rng(1), 4, good=0.9, bad=0.6), "log_linear")
    assert abs(weights.voters["good"].weight - 0.5) <= 0.2


def test_a_lone_voter_has_all_the_weight() -> None:
    assert fit_weights(box(np.random.default_rng(0), 30, only=0.5), "majority").voters["only"].weight == 1


def test_voters_that_agree_by_their_own_lights_are_surer_together() -> None:
    # each is right in 0.7 of all cases and says so; where all three agree they are nearly always right
    votes = box(np.random.default_rng(2), 2000, a=0.6, b=0.6, c=0.6)
    weights = fit_weights(votes, "log_linear")
    assert weights.temperature < 0.7
    pooled = weights.pool(votes.votes)
    assert np.array_equal(pooled.argmax(1), weights.without_temperatures().pool(votes.votes).argmax(1))
    right = pooled.argmax(1) == votes.truth
    assert abs(pooled.max(1).mean() - right.mean()) < 0.02
