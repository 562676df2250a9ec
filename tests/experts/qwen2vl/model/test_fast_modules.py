import math

import pytest
import torch
from torch import Tensor

from experts.qwen2vl.base import Base
from experts.qwen2vl.inputs.batch import pack
from experts.qwen2vl.inputs.label_trie import LabelTrie
from experts.qwen2vl.inputs.prompt import EncodedPrompt
from experts.qwen2vl.model.scoring import prompt_logits


def test_the_matrix_product_is_the_convolution(base: Base) -> None:
    torch.manual_seed(0)
    convolution = torch.nn.Conv3d(3, 20, kernel_size=(2, 14, 14), stride=(2, 14, 14), bias=False)
    patches = torch.randn(9, 3, 2, 14, 14)
    expected = convolution(patches)
    convolution.__class__ = type(base.model.model.visual.patch_embed.proj)
    got = convolution(patches)
    assert got.shape == expected.shape
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-5)


def test_one_frame_gives_what_the_frame_twice_gives(base: Base) -> None:
    embed = base.model.model.visual.patch_embed
    still = torch.randn(5, 3, 1, 196)
    twice = embed(still.expand(-1, -1, 2, -1).reshape(5, -1))
    torch.testing.assert_close(embed(still.reshape(5, -1)), twice, atol=1e-5, rtol=1e-5)


TRIE = LabelTrie.build([[10, 11, 5], [10, 12, 5], [13, 5]])


def both_last_layers(base: Base) -> tuple[Tensor, Tensor]:
    """Logits at the read positions of a packed row: from the last layer, and picked from a whole layer's."""
    from transformers.models.qwen2_vl.modeling_qwen2_vl import Qwen2VLDecoderLayer

    prompts = [EncodedPrompt(str(n), tuple(range(200, 200 + n)), (), ()) for n in (7, 7, 12)]
    batch = pack(prompts, TRIE, image_pad=base.image_pad, pad=base.pad, multiple=16)
    part = prompt_logits(base.model, batch)
    base.model.model.language_model.layers[-1].__class__ = Qwen2VLDecoderLayer
    whole = base.model(
        input_ids=batch.ids,
        layout=batch.layout,
        position_ids=batch.positions,
        use_cache=False,
    ).logits
    assert whole.shape[1] == batch.ids.shape[1] > part.shape[0] * part.shape[1] == 3 * 5
    return part, whole[0, batch.layout.read_positions].view_as(part)


def test_what_is_read_is_what_the_whole_layer_gives(base: Base) -> None:
    torch.testing.assert_close(*both_last_layers(base), atol=1e-5, rtol=1e-5)


def test_gradients_are_those_of_the_whole_layer(base: Base) -> None:
    weights = base.model.model.language_model.layers[0].mlp.up_proj.weight.requires_grad_()
    part, whole = (torch.autograd.grad(logits.logsumexp(-1).sum(), weights)[0] for logits in both_last_layers(base))
    assert whole.abs().max() > 0
    torch.testing.assert_close(part, whole, atol=1e-5, rtol=1e-4)


def test_a_norm_in_bfloat16_is_rounded_once(base: Base) -> None:
    from experts.qwen2vl.model.fast_modules import FusedNorm

    norm = base.model.model.language_model.norm
    assert type(norm) is FusedNorm
    torch.manual_seed(0)
    states, norm.weight.data = torch.randn(50, 128).bfloat16(), torch.rand(128).add(0.5).bfloat16()
    wide = states.double()
    exact = wide * (wide.pow(2).mean(-1, keepdim=True) + norm.variance_epsilon).rsqrt() * norm.weight.double()
    found = norm.bfloat16()(states)
    assert found.dtype == torch.bfloat16
    assert (found == exact.bfloat16()).float().mean() > 0.999


def test_all_layers_of_a_tower_have_one_class(base: Base) -> None:
    """Compiled, layers of other classes would need graphs of their own."""
    visual, text = base.model.model.visual.blocks, base.model.model.language_model.layers
    assert len({type(block.attn) for block in visual}) == len({type(layer.self_attn) for layer in text}) == 1
    assert len(visual) > 1 and len(text) > 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_normaliser_by_hand(base: Base, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("experts.qwen2vl.model.fast_modules.MIN_SLICE", 2)
    monkeypatch.setattr("experts.qwen2vl.model.fast_modules.CPU_SLICE_BYTES", 1)
    head = type(base.model.lm_head)(2, 3, bias=False, dtype=dtype)
    head.weight.data = torch.tensor([[0.0, 1.0], [2.0, 0.0], [0.0, 0.0]], dtype=dtype)
    states = torch.tensor([[0.0, 0.0], [1.0, 0.0], [50.0, 100.0]], dtype=dtype)
    # Logits (0, 0, 0), (0, 2, 0) and (100, 100, 0); the vocabulary's third token is a slice of its own.
    expected = torch.tensor([math.log(3), math.log(2 + math.exp(2)), 100 + math.log(2)])
    with torch.inference_mode():
        torch.testing.assert_close(head.log_normalisers(states), expected)
        assert head(states).tolist() == [[0, 0, 0], [0, 2, 0], [100, 100, 0]]
