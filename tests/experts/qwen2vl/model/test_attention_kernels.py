"""Attention in bfloat16 on a CPU by our own products, against float64; everything else is left to torch's kernels."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from experts.qwen2vl.model import attention_kernels
from experts.qwen2vl.model.attention_kernels import attend

MASK = torch.tensor([[True, False, True, True, False], [True] * 5, [False, False, False, False, True]])


@pytest.fixture(autouse=True)
def rounded_factors() -> Iterator[None]:
    """As beside a model in bfloat16; a CPU that does not multiply it itself takes exact factors, and is only slower."""
    torch.set_float32_matmul_precision("medium")
    yield
    torch.set_float32_matmul_precision("highest")


def exact(query: Tensor, key: Tensor, value: Tensor, scale: float, mask: Tensor | None) -> Tensor:
    """Softmax attention written out in float64; heads that share a key follow one another."""
    query, key, value = (part.double() for part in (query, key, value))
    key, value = (part.repeat_interleave(query.shape[1] // part.shape[1], dim=1) for part in (key, value))
    scores = query @ key.transpose(2, 3) * scale
    return (scores if mask is None else scores.masked_fill(~mask, -torch.inf)).softmax(-1) @ value


def parts(n_queries: int, heads: int = 4, key_heads: int = 2, n_keys: int = 5) -> list[Tensor]:
    torch.manual_seed(0)
    shapes = [(3, heads, n_queries, 8), (3, key_heads, n_keys, 8), (3, key_heads, n_keys, 8)]
    return [torch.randn(shape).bfloat16() for shape in shapes]


def relative_error(found: Tensor, expected: Tensor) -> float:
    return float((found.double() - expected).norm() / expected.norm())


@pytest.mark.parametrize("limit", [1, 4 * 5 * 4, 1 << 20], ids=["one query at a time", "four", "all"])
@pytest.mark.parametrize("heads", [2, 4])
@pytest.mark.parametrize(
    ("n_queries", "given", "mask"),
    [
        (7, {}, None),
        (3, {"mask": MASK}, MASK),
        (5, {"causal": True}, torch.ones(5, 5, dtype=torch.bool).tril()),
    ],
    ids=["all", "mask", "causal"],
)
def test_products_are_as_exact_as_bfloat16_is(
    monkeypatch: pytest.MonkeyPatch, limit: int, heads: int, n_queries: int, given: dict[str, Any], mask: Tensor | None
) -> None:
    monkeypatch.setattr(attention_kernels, "SCORES_BYTES", limit)
    query, key, value = parts(n_queries, heads)
    with torch.no_grad():
        found = attend(query, key, value, 0.5, **given)
    assert found.dtype == torch.bfloat16 and found.shape == query.shape
    # A result is rounded to 8 bits: by 2 ** -9 of itself at most, and weights by as much.
    assert relative_error(found, exact(query, key, value, 0.5, mask)) < 2**-8


def test_a_prompt_of_one_token_has_nothing_before_it() -> None:
    """Its own attention is that of the trie's nodes; before it there is no query and no key."""
    query, key, value = (part[:, :, :0] for part in parts(5))
    with torch.no_grad():
        assert attend(query, key, value, 0.5, causal=True).shape == (3, 4, 0, 8)


def test_two_keys_by_hand() -> None:
    """Scores 0 and ln 3, so weights 1/4 and 3/4 of values 0 and 8."""
    query = torch.tensor([[[[1.0, 0.0]]]]).bfloat16()
    key = torch.tensor([[[[0.0, 5.0], [1.0, 0.0]]]]).bfloat16()
    value = torch.tensor([[[[0.0, 4.0], [8.0, 4.0]]]]).bfloat16()
    with torch.no_grad():
        assert attend(query, key, value, 1.0986123).tolist() == [[[[6.0, 4.0]]]]


@pytest.mark.parametrize("scale", [1e3, 1e30])
def test_scores_of_any_size_stay_finite(scale: float) -> None:
    """The largest alone counts: its key's value is the result."""
    query, key, value = parts(7, heads=2)
    with torch.no_grad():
        found = attend(query, key, value, scale)
    best = (query.double() @ key.double().transpose(2, 3)).argmax(-1, keepdim=True)
    assert torch.equal(found, value.gather(2, best.expand(-1, -1, -1, 8)))


@pytest.mark.parametrize(("dtype", "grads"), [(torch.float32, False), (torch.bfloat16, True)])
def test_float32_and_training_are_left_to_torch(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, grads: bool
) -> None:
    monkeypatch.setattr(attention_kernels, "_attend_by_products", lambda *_, **__: pytest.fail("our own products"))
    query, key, value = (part.to(dtype).requires_grad_(grads) for part in parts(5))
    with torch.set_grad_enabled(grads):
        for given in ({}, {"causal": True}, {"mask": torch.ones(5, 5, dtype=torch.bool)}):
            found = attend(query, key, value, 0.5, **given)
            assert found.requires_grad == grads


def test_exact_products_are_left_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_float32_matmul_precision("highest")
    monkeypatch.setattr(attention_kernels, "_attend_by_products", lambda *_, **__: pytest.fail("our own products"))
    with torch.no_grad():
        query, key, value = parts(7)
        assert relative_error(attend(query, key, value, 0.5), exact(query, key, value, 0.5, None)) < 2**-7
