"""Trie scores are exact: they equal one ordinary pass of transformers' model per label."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from qwen2vl_inputs import made_up_prompt, plain_log_likelihoods, plain_model

from experts.qwen2vl.base import Base
from experts.qwen2vl.inputs.batch import mrope_positions, pack
from experts.qwen2vl.inputs.label_trie import LabelTrie
from experts.qwen2vl.inputs.pictures import Patches
from experts.qwen2vl.inputs.prompt import EncodedPrompt
from experts.qwen2vl.model.scoring import label_log_likelihoods

END = 5


@pytest.fixture(scope="session")
def shared_base(nano_settings: object) -> Base:
    from experts.qwen2vl.base import load_base

    return load_base(nano_settings, device="cpu")  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def plain(nano_settings: object) -> Any:
    return plain_model(nano_settings)  # type: ignore[arg-type]


LABELS = st.sets(st.lists(st.integers(10, 13), min_size=1, max_size=4).map(tuple), min_size=1, max_size=12)
PROMPT = st.tuples(st.integers(1, 30), st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3)), max_size=4))


@settings(max_examples=10, deadline=None)
@given(
    labels=LABELS,
    shapes=st.lists(PROMPT, min_size=1, max_size=4),
    repeated=st.integers(1, 3),
    multiple=st.sampled_from([1, 16]),
    seed=st.integers(0, 99),
)
def test_packed_and_separate_passes_agree(
    shared_base: Base, plain: Any, labels: set, shapes: list, repeated: int, multiple: int, seed: int
) -> None:
    """Labels that begin others, one label, prompts of equal and of unlike length with zero to four pictures."""
    rng = np.random.default_rng(seed)
    sequences = [[*label, END] for label in sorted(labels, key=lambda _: rng.random())]
    trie = LabelTrie.build(sequences)
    prompts = [made_up_prompt(shared_base, rng, *shape) for shape in shapes for _ in range(repeated)]
    padding = {"image_pad": shared_base.image_pad, "pad": 0, "multiple": multiple}
    with torch.inference_mode():
        packed, backwards = (
            label_log_likelihoods(shared_base.model, pack(some, trie, **padding), trie)
            for some in (prompts, prompts[::-1])
        )
        apart = plain_log_likelihoods(plain, prompts, sequences)
    for together in (packed, backwards.flip(0)):
        torch.testing.assert_close(together, apart, atol=1e-4, rtol=1e-4)


def test_positions_by_hand() -> None:
    pad = 7
    picture = Patches(np.zeros((24, 588), dtype=np.uint8), 4, 6)  # 2 x 3 cells
    prompt = EncodedPrompt("s", (1, *[pad] * 6, 2), (picture,), ())
    assert mrope_positions(prompt, pad).tolist() == [
        [0, 1, 1, 1, 1, 1, 1, 4],
        [0, 1, 1, 1, 2, 2, 2, 4],
        [0, 1, 2, 3, 1, 2, 3, 4],
    ]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_slices_change_no_score(shared_base: Base, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    trie = LabelTrie.build([[10, 11, END], [10, END], [12, END]])
    rng = np.random.default_rng(0)
    batch = pack([made_up_prompt(shared_base, rng, n, []) for n in (5, 6, 7)], trie, image_pad=7, pad=0)
    model = copy.deepcopy(shared_base.model).to(dtype)
    with torch.no_grad():
        kept = label_log_likelihoods(model, batch, trie)  # as in training, from all logits
        monkeypatch.setattr("experts.qwen2vl.model.scoring.SLICE_BYTES", 1)
        assert torch.equal(label_log_likelihoods(model, batch, trie), kept)
    with torch.inference_mode():
        for limit in (1, 1 << 40):  # slices of the least size, and one
            monkeypatch.setattr("experts.qwen2vl.model.fast_modules.CPU_SLICE_BYTES", limit)
            torch.testing.assert_close(label_log_likelihoods(model, batch, trie), kept, atol=2e-5, rtol=1e-6)


def test_an_adapter_on_the_head_counts(shared_base: Base) -> None:
    from peft import LoraConfig, get_peft_model

    trie = LabelTrie.build([[10, 11, END], [10, END], [12, END]])
    batch = pack([made_up_prompt(shared_base, np.random.default_rng(0), 5, [])], trie, image_pad=7, pad=0)
    with torch.no_grad():
        plain = label_log_likelihoods(shared_base.model, batch, trie)
    config = LoraConfig(target_modules=["lm_head"], init_lora_weights=False)
    model = get_peft_model(copy.deepcopy(shared_base.model), config).eval()
    with torch.no_grad():
        kept = label_log_likelihoods(model, batch, trie)  # by the whole model, as in training
    with torch.inference_mode():
        torch.testing.assert_close(label_log_likelihoods(model, batch, trie), kept, atol=2e-5, rtol=1e-6)
    assert (kept - plain).abs().max() > 0.01


def test_two_hundred_labels(shared_base: Base, plain: Any) -> None:
    rng = np.random.default_rng(0)
    sequences = [[10 + a, 10 + b, 10 + c, END] for a in range(6) for b in range(6) for c in range(6)][:200]
    trie = LabelTrie.build(sequences)
    prompt = made_up_prompt(shared_base, rng, 9, [(2, 2)])
    with torch.inference_mode():
        batch = pack([prompt], trie, image_pad=shared_base.image_pad, pad=0)
        scores = label_log_likelihoods(shared_base.model, batch, trie)
        expected = plain_log_likelihoods(plain, [prompt], [sequences[index] for index in (0, 57, 199)])
    torch.testing.assert_close(scores[:, [0, 57, 199]], expected, atol=1e-4, rtol=1e-4)
