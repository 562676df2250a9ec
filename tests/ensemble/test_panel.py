from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from fakes import FakeVoter, image_panel
from records import dialogue_instruction, image_instruction

from mire.budget import Cost, Ledger
from mire.errors import BudgetError, PanelError
from mire.labels import Label, Taxonomy, builtin_taxonomy
from mire.prompts import parse_prompt
from mire.samples import Sample
from mire.votes import Vote

CART, SHOP = "购物车页面", "店铺页面"
PICTURE = next((Path(__file__).parents[2] / "samples" / "images").iterdir())


def sample(name: str) -> Sample:
    return Sample(id=name, prompt=parse_prompt(image_instruction()), images=(PICTURE,))


def test_the_weightier_voter_wins_and_the_ledger_shows_the_cost() -> None:
    panel = image_panel(FakeVoter("a", {"s": CART}), FakeVoter("b", {"s": SHOP}), a=0.3, b=0.7)
    (prediction,) = panel.predict([sample("s")], Ledger())
    assert (prediction.label, prediction.task, prediction.problems) == (SHOP, "image", ())
    assert (prediction.n_calls, prediction.n_output_tokens) == (2, 20)
    assert [vote.voter for vote in prediction.votes] == ["a", "b"]
    assert sum(prediction.probabilities) == pytest.approx(1)


def test_an_abstention_is_marked_and_leaves_its_weight_to_the_others() -> None:
    panel = image_panel(FakeVoter("a", {"s": CART}), FakeVoter("b", {}), a=0.1, b=0.9)
    (prediction,) = panel.predict([sample("s")], Ledger())
    assert (prediction.label, prediction.problems) == (CART, ("b abstained",))


def test_without_any_vote_all_labels_are_equal_and_it_is_marked() -> None:
    (prediction,) = image_panel(FakeVoter("a", {})).predict([sample("s")], Ledger())
    assert prediction.problems == ("a abstained", "no voter voted: the label is the first of the list")
    assert set(prediction.probabilities) == {1 / 23}


def test_a_fourth_call_is_refused_before_the_voter_runs() -> None:
    voters = [FakeVoter(name, {"s": CART}) for name in "abcd"]
    with pytest.raises(BudgetError, match="'d' would make it 4 for sample 's'"):
        image_panel(*voters).predict([sample("s")], Ledger())
    assert [voter.runs for voter in voters] == [1, 1, 1, 0]


def test_too_many_tokens_are_refused_before_the_voter_runs() -> None:
    voters = [FakeVoter("a", {}, cost=Cost(1, 60)), FakeVoter("b", {}, cost=Cost(1, 60))]
    with pytest.raises(BudgetError, match="at most 100 output tokens"):
        image_panel(*voters).predict([sample("s")], Ledger())
    assert [voter.runs for voter in voters] == [1, 0]


def test_asking_twice_for_the_same_sample_counts_twice() -> None:
    panel, ledger = image_panel(FakeVoter("a", {"s": CART}), FakeVoter("b", {"s": CART})), Ledger()
    panel.predict([sample("s")], ledger)
    with pytest.raises(BudgetError, match="at most 3 model calls"):
        panel.predict([sample("s")], ledger)


def test_order_is_kept_and_tasks_that_are_not_loaded_are_named() -> None:
    panel = image_panel(FakeVoter("a", {"x": CART, "y": SHOP}))
    assert [p.sample_id for p in panel.predict([sample("y"), sample("x")], Ledger())] == ["y", "x"]
    stranger = Sample(id="d", prompt=parse_prompt(dialogue_instruction("用户: 会生锈吗")))
    with pytest.raises(PanelError, match="the panel has no dialogue experts, but sample 'd' is a dialogue sample"):
        panel.predict([stranger], Ledger())


@dataclass
class LeadingVoter(FakeVoter):
    """Its votes hold a state."""

    def vote(self, samples: Sequence[Sample]) -> list[Vote | None]:
        return [vote and replace(vote, state=np.ones(1, dtype=np.float32)) for vote in super().vote(samples)]


@dataclass
class FollowingVoter(FakeVoter):
    """Votes, on a label more, for what the leader gave a state to."""

    leader: str = "a"

    def after(self, votes: Sequence[Vote | None]) -> FakeVoter:
        known = {vote.sample_id: "新" for vote in votes if vote and vote.state is not None}
        return FakeVoter(self.name, known, self.cost, self.taxonomy)


def test_a_voter_that_follows_votes_on_the_leaders_pass_and_costs_nothing() -> None:
    image = builtin_taxonomy("image")
    grown = Taxonomy("image", (*image.entries, Label(name="新")))
    voters = LeadingVoter("a", {"s": CART}), FollowingVoter("b", {}, Cost(0, 0), grown)
    one = image_panel(*voters).tasks["image"]
    panel = replace(image_panel(*voters), tasks={"image": replace(one, taxonomy=grown)})
    known, unknown = panel.predict([sample("s"), sample("t")], Ledger())
    assert (known.label, known.n_calls) == ("新", 1) and voters[0].runs == 1
    assert known.probabilities[-1] == pytest.approx(0.8)
    assert [len(vote.probabilities) for vote in known.votes] == [24, 24]
    assert known.votes[0].probabilities[-1] == 0 and known.votes[0].state is None
    assert unknown.problems == ("a abstained", "b abstained", "no voter voted: the label is the first of the list")


class PoisonedVoter(FakeVoter):
    """Fails on every batch that holds a sample named ``bad...``."""

    def vote(self, samples: Sequence[Sample]) -> list[Vote | None]:
        if any(sample.id.startswith("bad") for sample in samples):
            raise ValueError("no such shape\nand more")
        return super().vote(samples)


def test_a_sample_that_breaks_a_voter_is_answered_by_the_others_and_spoils_no_other() -> None:
    names = [f"s{number}" for number in range(9)] + ["bad"]
    answers = dict.fromkeys(names, CART)
    panel = image_panel(PoisonedVoter("a", answers), FakeVoter("b", answers | {"bad": SHOP}))
    found = {one.sample_id: one for one in panel.predict([sample(name) for name in names], Ledger())}
    assert {found[name].problems for name in names[:-1]} == {()}
    assert (found["bad"].label, found["bad"].problems) == (SHOP, ("a failed: ValueError: no such shape",))
    assert (found["bad"].n_calls, found["s0"].n_calls) == (2, 2)


def test_a_voter_that_fails_on_many_is_broken_itself() -> None:
    names = [f"bad{number}" for number in range(9)]
    with pytest.raises(ValueError, match="no such shape"):
        image_panel(PoisonedVoter("a", {})).predict([sample(name) for name in names], Ledger())
    assert len(image_panel(PoisonedVoter("a", {})).predict([sample(name) for name in names[:8]], Ledger())) == 8


class CutOffVoter(FakeVoter):
    """Fails on every sample for a reason that lies in the machine."""

    def vote(self, samples: Sequence[Sample]) -> list[Vote | None]:
        raise self.fault  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "fault",
    [PermissionError(13, "Permission denied", "cache"), ModuleNotFoundError("No module named 'rapidocr'"),
     OSError(28, "No space left on device")],
)  # fmt: skip
def test_a_fault_of_the_machine_is_no_fault_of_a_sample(fault: Exception) -> None:
    voter = CutOffVoter("a", {"s": CART})
    voter.fault = fault  # type: ignore[attr-defined]
    with pytest.raises(type(fault), match="Permission|rapidocr|space"):
        image_panel(voter, FakeVoter("b", {"s": CART})).predict([sample("s")], Ledger())
