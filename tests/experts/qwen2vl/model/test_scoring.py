"""Trie scores are exact: they equal one ordinary pass of the model for each label."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from qwen2vl_inputs import made_up_prompt

from experts.qwen2vl.base import Base
from experts.qwen2vl.inputs.batch import Batch, collate, mrope_positions, normalise, pack
from experts.qwen2vl.inputs.label_trie import LabelTrie
from experts.qwen2vl.inputs.pictures import Patches
from experts.qwen2vl.inputs.prompt import EncodedPrompt
from experts.qwen2vl.model.scoring import label_log_likelihoods

END = 5


@pytest.fixture(scope="session")
def shared_base(nano_settings: object) -> Base:
    from experts.qwen2vl.base import load_base

    return load_base(nano_settings, device="cpu")  # type: ignore[arg-type]


def separately(base: Base, prompt: EncodedPrompt, label: list[int]) -> float:
    """Log-likelihood of one label by transformers' own forward pass and positions."""
    ids = torch.tensor([[*prompt.ids, *label]])
    pixels = [torch.from_numpy(picture.pixels) for picture in prompt.pictures]
    with torch.inference_mode():
        logits = base.model(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            pixel_values=normalise(torch.cat(pixels), torch.float32, n_frames=2) if pixels else None,
            image_grid_thw=torch.tensor([[1, p.rows, p.columns] for p in prompt.pictures]) if pixels else None,
            mm_token_type_ids=(ids == base.image_pad).int(),
        ).logits[0]
    steps = logits.log_softmax(-1)
    return sum(float(steps[len(prompt) - 1 + place, token]) for place, token in enumerate(label))


LABELS = st.sets(st.lists(st.integers(10, 13), min_size=1, max_size=4).map(tuple), min_size=1, max_size=12)
PROMPT = st.tuples(st.integers(1, 30), st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3)), max_size=4))


@settings(max_examples=25, deadline=None)
@given(
    labels=LABELS,
    shapes=st.lists(PROMPT, min_size=1, max_size=4),
    repeated=st.integers(1, 3),
    multiple=st.sampled_from([1, 16]),
    seed=st.integers(0, 99),
)
def test_packed_padded_and_separate_passes_agree(
    shared_base: Base, labels: set, shapes: list, repeated: int, multiple: int, seed: int
) -> None:
    """Labels that begin others, one label, prompts of equal and of unlike length with zero to four pictures."""
    rng = np.random.default_rng(seed)
    sequences = [[*label, END] for label in sorted(labels, key=lambda _: rng.random())]
    trie = LabelTrie.build(sequences)
    prompts = [made_up_prompt(shared_base, rng, *shape) for shape in shapes for _ in range(repeated)]
    padding = {"image_pad": shared_base.image_pad, "pad": 0, "multiple": multiple}
    backwards = prompts[::-1]
    with torch.inference_mode():
        padded, packed, turned = (
            label_log_likelihoods(shared_base.model, put(some, trie, **padding), trie)
            for put, some in ((collate, prompts), (pack, prompts), (pack, backwards))
        )
    apart = [[separately(shared_base, prompt, sequence) for sequence in sequences] for prompt in prompts]
    for together in (padded, packed, turned.flip(0)):
        torch.testing.assert_close(together, torch.tensor(apart), atol=1e-4, rtol=1e-4)


def test_positions_by_hand() -> None:
    pad = 7
    picture = Patches(np.zeros((24, 588), dtype=np.uint8), 4, 6)  # 2 x 3 cells
    prompt = EncodedPrompt("s", (1, *[pad] * 6, 2), (picture,), ())
    assert mrope_positions(prompt, pad).tolist() == [
        [0, 1, 1, 1, 1, 1, 1, 4],
        [0, 1, 1, 1, 2, 2, 2, 4],
        [0, 1, 2, 3, 1, 2, 3, 4],
    ]


@pytest.mark.parametrize("put", [collate, pack])
def test_two_hundred_labels(shared_base: Base, put: Callable[..., Batch]) -> None:
    rng = np.random.default_rng(0)
    sequences = [[10 + a, 10 + b, 10 + c, END] for a in range(6) for b in range(6) for c in range(6)][:200]
    trie = LabelTrie.build(sequences)
    prompt = made_up_prompt(shared_base, rng, 9, [(2, 2)])
    with torch.inference_mode():
        batch = put([prompt], trie, image_pad=shared_base.image_pad, pad=0)
        scores = label_log_likelihoods(shared_base.model, batch, trie)[0]
    for place in (0, 57, 199):
        assert float(scores[place]) == pytest.approx(separately(shared_base, prompt, sequences[place]), abs=1e-4)
