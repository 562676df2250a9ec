from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ensemble import rules
from ensemble.evaluation.combination_rules import combinations, compare, conditional_logit, equal
from ensemble.voting.oof_votes import OutOfFoldVotes
from mire.budget import Cost
from mire.cli import run


def box(votes: dict[str, list[int]], truth: list[int], *, sure: float = 0.8) -> OutOfFoldVotes:
    """Votes over three labels: each voter gives ``sure`` to its choice."""
    rest = (1 - sure) / 2
    return OutOfFoldVotes(
        tuple(map(str, range(len(truth)))),
        np.array(truth),
        {name: np.full((len(truth), 3), rest) + (sure - rest) * np.eye(3)[choices] for name, choices in votes.items()},
        dict.fromkeys(votes, Cost(1, 5)),
    )


def test_every_rule_answers_its_own_way() -> None:
    learn = box({"a": [0, 1, 2, 0], "b": [0, 0, 0, 0], "c": [1, 0, 0, 0]}, [0, 1, 2, 0])
    judge = box({"a": [1], "b": [2], "c": [2]}, [1])
    answers = {name: int(rule(learn, judge).argmax()) for name, rule in combinations().items()}
    # two of three say 2; the voter that was always right says 1, and is the surest once temperatures are fitted
    assert (answers["majority"], answers["equal"], answers["best single"]) == (2, 1, 1)
    assert equal("log_linear", learn, judge).argmax() == 2


def test_every_rule_gets_fitted_temperatures() -> None:
    # "a" is right in 9 of 10 and modest, "b" in 4 of 10 and nearly certain: at their own temperatures "b" outvotes "a"
    truth = [row % 3 for row in range(60)]
    a = [(label + (row % 10 == 0)) % 3 for row, label in enumerate(truth)]
    b = [(label + (row % 10 > 3)) % 3 for row, label in enumerate(truth)]
    modest, certain = box({"a": a}, truth, sure=0.5), box({"b": b}, truth, sure=0.999)
    both = replace(modest, votes=modest.votes | certain.votes, costs=modest.costs | certain.costs)
    answers = combinations()["equal"](both, both).argmax(1)
    assert answers.tolist() == a
    assert equal("log_linear", both, both).argmax(1).tolist() == b


def test_a_coefficient_by_hand() -> None:
    # one voter gives 0.8 and is right in 4 of 5: its coefficient is 1, and its votes stay as they are
    votes = box({"only": [0, 1, 2, 0, 1]}, [0, 1, 2, 0, 2])
    assert conditional_logit(votes, votes).max(axis=1) == pytest.approx(0.8, abs=0.001)


@pytest.mark.parametrize("rule", ["best single", "fitted", "stacked", "two-parameter"])
def test_what_learns_finds_the_voter_to_trust(rule: str) -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 300)
    noise = [rng.integers(0, 3, 300).tolist() for _ in range(2)]
    votes = {"good": truth.tolist(), "bad": noise[0], "worse": noise[1]}
    outcome = next(row for row in compare(box(votes, truth.tolist())) if row.rule == rule)
    assert outcome.f1 > 0.95


def test_the_reference_differs_from_itself_by_nothing() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 60).tolist()
    outcomes = compare(box({"a": truth, "b": rng.integers(0, 3, 60).tolist()}, truth))
    reference = outcomes[0]
    assert (reference.rule, reference.n) == ("fitted", 60)
    assert (reference.versus.low, reference.versus.high) == (0, 0)


def test_a_folder_without_experts_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(rules, ["--panel", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith(f"error: {tmp_path} holds no trained experts; train some with")
