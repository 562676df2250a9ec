import torch

from experts.qwen2vl.base import Base


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


def inputs(base: Base, n_tokens: int) -> dict:
    torch.manual_seed(0)
    ids = torch.randint(100, 3000, (2, n_tokens))
    causal = torch.full((n_tokens, n_tokens), torch.finfo(torch.float32).min).triu(1)
    positions = torch.arange(n_tokens).expand(3, 2, n_tokens)
    return {
        "input_ids": ids, "attention_mask": causal.expand(2, 1, -1, -1), "position_ids": positions, "use_cache": False,
    }  # fmt: skip


def test_what_is_read_is_what_the_whole_layer_gives(base: Base) -> None:
    batch = inputs(base, 17)
    whole = base.model(**batch).logits
    part = base.model(**batch, n_read_positions=5).logits
    assert whole.shape[1] == 17 and part.shape[1] == 5
    torch.testing.assert_close(part, whole[:, -5:], atol=1e-5, rtol=1e-5)


def test_gradients_are_those_of_the_whole_layer(base: Base) -> None:
    batch = inputs(base, 11)
    weights = base.model.model.language_model.layers[0].mlp.up_proj.weight.requires_grad_()
    gradients = []
    for reads in ({}, {"n_reads": 3}):
        base.model(**batch, **reads, logits_to_keep=3).logits.logsumexp(-1).sum().backward()
        gradients.append(weights.grad.clone())
        weights.grad = None
    torch.testing.assert_close(*gradients, atol=1e-5, rtol=1e-4)
