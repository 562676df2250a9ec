"""Packed rows: what attends to what, by hand and against a plain mask; gradients against transformers' model."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from qwen2vl_inputs import plain_log_likelihoods, plain_model
from torch import Tensor

from experts.qwen2vl.base import Base
from experts.qwen2vl.inputs.batch import pack
from experts.qwen2vl.inputs.label_trie import LabelTrie
from experts.qwen2vl.inputs.packed_rows import PackedLayout
from experts.qwen2vl.inputs.pictures import Patches
from experts.qwen2vl.inputs.prompt import EncodedPrompt
from experts.qwen2vl.model.attention import attend_documents, attend_pictures
from experts.qwen2vl.model.scoring import label_log_likelihoods
from mire.settings import Qwen2VL

END = 5
# 1 - 2 - END, 1 - 3 - END: inner nodes 1, 2 and 3; 2 and 3 do not attend to each other
TREE = torch.tensor([[True, False, False], [True, True, False], [True, False, True]])


def plain_attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    """Softmax attention written out; (heads, tokens, size) and a mask (tokens, tokens)."""
    key, value = (part.repeat_interleave(len(query) // len(part), dim=0) for part in (key, value))
    scores = (query @ key.transpose(1, 2) / query.shape[-1] ** 0.5).masked_fill(~mask, -torch.inf)
    return scores.softmax(-1) @ value


def whole_mask(lengths: list[int], n_padding: int = 0) -> Tensor:
    """What every token of a packed row attends to, (tokens, tokens), document by document."""
    blocks = []
    for length in lengths:
        block = torch.ones(length + 3, length + 3, dtype=torch.bool).tril()
        block[length:, length:] = TREE
        blocks.append(block)
    return torch.block_diag(*blocks, torch.eye(n_padding)).bool()


def test_runs_and_read_positions_by_hand() -> None:
    layout = PackedLayout.of([2, 2, 4], TREE)
    assert layout.run_lengths == ((2, 2), (1, 4))
    # the last token and three nodes of documents of 5, 5 and 7 tokens
    assert layout.read_positions.tolist() == [1, 2, 3, 4, 6, 7, 8, 9, 13, 14, 15, 16]
    assert layout.node_mask.tolist() == [[False] * 3, *TREE.tolist()]


@pytest.mark.parametrize("lengths", [[4], [1], [3, 3, 3], [2, 5, 5, 1]])
@pytest.mark.parametrize(("heads", "key_heads"), [(4, 4), (6, 2)])
def test_attention_is_that_of_the_whole_mask(lengths: list[int], heads: int, key_heads: int) -> None:
    torch.manual_seed(0)
    layout = PackedLayout.of(lengths, TREE, n_padding=2)
    n_tokens = sum(lengths) + 3 * len(lengths) + 2
    query, key, value = (torch.randn(1, n, n_tokens, 8) for n in (heads, key_heads, key_heads))
    expected = plain_attention(query[0], key[0], value[0], whole_mask(lengths, 2)).transpose(0, 1)
    got = attend_documents(layout, query, key, value, 8**-0.5)[0]
    torch.testing.assert_close(got[:-2], expected[:-2], atol=1e-5, rtol=1e-5)
    read = layout.read_positions
    got = attend_documents(layout, query[:, :, read], key, value, 8**-0.5)[0]
    torch.testing.assert_close(got, expected[read], atol=1e-5, rtol=1e-5)


def test_pictures_attend_to_themselves_only() -> None:
    torch.manual_seed(0)
    sizes = [4, 4, 8, 4]
    parts = [torch.randn(1, 2, sum(sizes), 8) for _ in range(3)]
    bounds = torch.tensor([0, *np.cumsum(sizes)], dtype=torch.int32)
    got = attend_pictures(*parts, bounds, 8**-0.5)
    mask = torch.block_diag(*(torch.ones(size, size) for size in sizes)).bool()
    expected = plain_attention(*(part[0] for part in parts), mask)
    torch.testing.assert_close(got[0], expected.transpose(0, 1), atol=1e-5, rtol=1e-5)


def screen(pixels: np.ndarray, base: Base, word: int) -> EncodedPrompt:
    """Two words, a picture of 2 x 2 cells, a word."""
    return EncodedPrompt("s", (7, 8, *[base.image_pad] * 4, word), (Patches(pixels, 4, 4),), ())


def test_no_document_attends_to_its_neighbours(base: Base) -> None:
    """Other words and other pictures beside a prompt leave its scores as they are, bit for bit."""
    rng = np.random.default_rng(0)
    mine, one, other = (rng.integers(0, 256, (16, 588), dtype=np.uint8) for _ in range(3))
    trie = LabelTrie.build([[10, 11, END], [10, 12, END]])

    def scores(neighbour: np.ndarray, word: int) -> Tensor:
        row = [screen(neighbour, base, word), screen(mine, base, 9), screen(neighbour, base, word + 1)]
        with torch.inference_mode():
            batch = pack(row, trie, image_pad=base.image_pad, pad=0)
            return label_log_likelihoods(base.model, batch, trie)

    first, second = scores(one, 20), scores(other, 30)
    assert torch.equal(first[1], second[1])
    assert not torch.allclose(first[0], second[0])


def test_loss_and_gradients_are_those_of_separate_plain_passes(base: Base, nano_settings: Qwen2VL) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (16, 588), dtype=np.uint8)
    prompts = [screen(pixels, base, 9), EncodedPrompt("t", (7, 8, 9), (), ()), screen(pixels, base, 20)]
    labels = [[10, 11, END], [10, 12, END]]
    trie, plain = LabelTrie.build(labels), plain_model(nano_settings)
    layer = [model.model.language_model.layers[0].self_attn.q_proj.weight for model in (base.model, plain)]
    patches = [model.model.visual.patch_embed.proj.weight for model in (base.model, plain)]
    batch = pack(prompts, trie, image_pad=base.image_pad, pad=0)
    for weight in (*layer, *patches):
        weight.requires_grad_()
    losses = [
        torch.nn.functional.cross_entropy(scores, torch.tensor([0, 1, 1]))
        for scores in (label_log_likelihoods(base.model, batch, trie), plain_log_likelihoods(plain, prompts, labels))
    ]
    torch.testing.assert_close(losses[0], losses[1], atol=1e-5, rtol=1e-5)
    packed, separate = (torch.autograd.grad(losses[n], (layer[n], patches[n])) for n in (0, 1))
    for found, expected in zip(packed, separate, strict=True):
        assert expected.abs().max() > 0
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_lengths_are_asked_of_the_device_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from experts.qwen2vl.model.attention import _lengths

    asked = []
    bounds = SimpleNamespace(diff=lambda: SimpleNamespace(tolist=lambda: asked.append(1) or [4, 8]))
    assert _lengths(bounds) == _lengths(bounds) == [4, 8]
    assert asked == [1]
