import numpy as np
import pytest

from ensemble.voting.fitting import fit_temperature, fit_weights
from ensemble.voting.oof_votes import OutOfFoldVotes
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


def test_few_votes_hardly_move_the_temperatures() -> None:
    few, many = (fit_weights(box(np.random.default_rng(1), n, sure=1.0), "log_linear") for n in (4, 400))
    assert 1 > few.voters["sure"].temperature > 2 * many.voters["sure"].temperature


def test_a_voter_that_adds_nothing_beside_the_best_one_gets_no_weight() -> None:
    rng = np.random.default_rng(3)
    n, logits = 62, np.eye(8)[np.arange(62) % 8] * 3.0 + rng.normal(size=(62, 8))
    votes = {"strong": logits, "weak": logits + rng.normal(size=(n, 8))}
    chances = {name: np.exp(each) / np.exp(each).sum(axis=1, keepdims=True) for name, each in votes.items()}
    nested = OutOfFoldVotes(tuple(map(str, range(n))), np.arange(n) % 8, chances, dict.fromkeys(votes, Cost(1, 5)))
    assert fit_weights(nested, "log_linear").voters["strong"].weight == 1


def test_a_lone_voter_that_was_always_right_is_never_certain() -> None:
    votes = box(np.random.default_rng(0), 27, only=1.0)
    weights = fit_weights(votes, "log_linear")
    # 1 / 29 of the uniform distribution over 4 labels stays in every answer
    assert weights.pool({"only": np.array([[1.0, 0.0, 0.0, 0.0]])}).max() == pytest.approx(1 - 0.75 / 29, abs=1e-4)


def test_the_temperature_by_hand() -> None:
    # one sample, two labels at odds 3: log(1 + 3^-s) + 2 ln(s)^2 is least at s = 1.072, so at T = 1 / s = 0.933
    assert fit_temperature(np.array([[0.75, 0.25]]), np.array([0])) == pytest.approx(0.933, abs=0.001)


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
