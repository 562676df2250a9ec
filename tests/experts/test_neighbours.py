"""The kernel over hidden states by hand, and what is kept of the training samples."""

from collections.abc import Sequence
from math import log
from pathlib import Path

import numpy as np
import pytest
from records import dialogue_instruction
from safetensors.numpy import load_file, save_file

from experts.neighbours.voter import NeighboursVoter
from experts.voter import Follower
from mire.budget import Cost
from mire.errors import PanelError
from mire.labels import Label, Taxonomy
from mire.prompts import parse_prompt
from mire.samples import Sample
from mire.settings import Neighbours
from mire.votes import Vote

RUST, STOCK, LAMP = Label(name="甲"), Label(name="乙"), Label(name="丙")
TAXONOMY = Taxonomy("dialogue", (RUST, STOCK))
HALF = Neighbours(temperature=1 / log(2))
"""exp(cosine / temperature) is 2 to the power of the cosine."""


def asked(name: str, label: str | None = None) -> Sample:
    return Sample(id=name, prompt=parse_prompt(dialogue_instruction(f"用户: {name}")), label=label)


def told(name: str, *state: float) -> Vote:
    return Vote("qwen2vl", name, (0.5, 0.5), state=np.array(state, dtype=np.float32))


KNOWN = [asked("a", "甲"), asked("b", "乙"), asked("c", "乙")]
VOTES = [told("a", 1, 0), told("b", 0, 1), told("c", -1, 0)]


@pytest.fixture
def voter() -> NeighboursVoter:
    return NeighboursVoter.train(KNOWN, taxonomy=TAXONOMY, settings=HALF, seed=7, votes=VOTES)


def rows(votes: Sequence[Vote | None]) -> list[tuple[float, ...]]:
    return [vote.probabilities for vote in votes if vote]


def test_the_kernel_by_hand(voter: NeighboursVoter) -> None:
    # 2 : 1 : 1/2 along (1, 0), and 1 : 2 : 1 along (0, 1); the last two are of one label.
    votes = voter.after([told("x", 1, 0), told("y", 0, 1)]).vote([asked("y"), asked("x")])
    assert [vote and vote.sample_id for vote in votes] == ["y", "x"]
    assert np.allclose(rows(votes), [(1 / 4, 3 / 4), (4 / 7, 3 / 7)])


def test_a_low_temperature_asks_the_nearest_only(voter: NeighboursVoter) -> None:
    cold = Neighbours(temperature=0.05)
    sharp = NeighboursVoter.train(KNOWN, taxonomy=TAXONOMY, settings=cold, seed=7, votes=VOTES)
    assert np.allclose(rows(sharp.after([told("x", 0.8, 0.6)]).vote([asked("x")])), [(0.982, 0.018)], atol=1e-3)


def test_without_a_state_it_abstains_and_it_costs_nothing(voter: NeighboursVoter) -> None:
    assert voter.vote([asked("x")]) == [None]
    votes = voter.after([None, told("x", 1, 0), Vote("qwen2vl", "y", (0.5, 0.5))]).vote([asked("y"), asked("x")])
    assert votes[0] is None and votes[1] is not None
    assert isinstance(voter, Follower) and voter.cost == Cost(0, 0) and voter.parameters == {}
    assert NeighboursVoter.sizes(HALF, "dialogue") == {}
    with pytest.raises(PanelError, match="qwen2vl has no state of any of 3 samples"):
        NeighboursVoter.train(KNOWN, taxonomy=TAXONOMY, settings=HALF, seed=7)


def test_a_new_label_needs_no_training(voter: NeighboursVoter) -> None:
    wider = Taxonomy("dialogue", (RUST, STOCK, LAMP))
    grown = voter.grown([asked("d", "丙")], [told("d", 0, -1)], wider)
    # 1 : 1/2 : 1 : 2 along (0, -1)
    assert np.allclose(rows(grown.after([told("x", 0, -1)]).vote([asked("x")])), [(1 / 4.5, 1.5 / 4.5, 2 / 4.5)])


def test_what_is_saved_answers_alike_and_names_no_sample(voter: NeighboursVoter, tmp_path: Path) -> None:
    adapter, folder = tmp_path / "qwen2vl" / "adapter_model.safetensors", tmp_path / "neighbours"
    adapter.parent.mkdir()
    adapter.write_bytes(b"weights")
    voter.save(folder)
    kept = load_file(folder / "states.safetensors")
    assert {name: (str(part.dtype), part.shape) for name, part in kept.items()} == {
        "states": ("float16", (3, 2)), "labels": ("int64", (3,))
    }  # fmt: skip
    assert sorted(path.name for path in folder.iterdir()) == ["meta.json", "states.safetensors"]
    assert len({path.stat().st_mode for path in folder.iterdir()}) == 1, "one file is private, the other is not"
    loaded = NeighboursVoter.load(folder, taxonomy=TAXONOMY, settings=HALF)
    question = [told("x", 0.6, 0.8)]
    assert loaded.after(question).vote([asked("x")]) == voter.after(question).vote([asked("x")])
    with pytest.raises(PanelError, match="neighbours was made for other labels; train it again"):
        NeighboursVoter.load(folder, taxonomy=Taxonomy("dialogue", (STOCK, RUST)), settings=HALF)
    for damage in ({"states": np.full((3, 2), np.nan, np.float16)}, {"labels": np.array([0, 1, 2])}):
        save_file({**kept, **damage}, folder / "states.safetensors")
        with pytest.raises(PanelError, match="is damaged: numbers that are not finite, or unknown labels"):
            NeighboursVoter.load(folder, taxonomy=TAXONOMY, settings=HALF)
    adapter.write_bytes(b"others")
    with pytest.raises(PanelError, match="holds states of another adapter than qwen2vl's; train it again"):
        NeighboursVoter.load(folder, taxonomy=TAXONOMY, settings=HALF)
