"""Softmax attention (https://arxiv.org/abs/1706.03762): torch's kernels, or on a CPU in bfloat16 our own products.

torch's kernel for CPUs is no faster in bfloat16 than in float32; oneDNN's products are two to four times as fast. They
give float32 scores where ``bfloat16_factors`` (``device.py``) is in force.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

SCORES_BYTES = 4 << 20
"""Bytes of scores that exist at a time: a CPU's cache holds them."""
LOG2_E = math.log2(math.e)


def attend(
    query: Tensor, key: Tensor, value: Tensor, scale: float, *, mask: Tensor | None = None, causal: bool = False
) -> Tensor:
    """Attention of ``query`` (n, heads, queries, size); the result has its shape.

    ``key`` and ``value`` are (n, key heads, keys, size). A query attends to the keys that ``mask`` (queries, keys) bool
    names, with ``causal`` to those up to its own place, else to all.
    """
    n, heads, n_queries, size = query.shape
    group = heads // key.shape[1]
    by_products = _products_are_faster(query)
    if causal and not by_products:
        return scaled_dot_product_attention(query, key, value, is_causal=True, scale=scale, enable_gqa=group > 1)
    if causal:
        mask = torch.ones(n_queries, n_queries, dtype=torch.bool).tril_()
    # Heads that share a key are folded into further queries, so that no key is copied.
    folded = query.reshape(n, key.shape[1], group * n_queries, size)
    kernel = _attend_by_products if by_products else scaled_dot_product_attention
    found = kernel(folded, key, value, attn_mask=None if mask is None else mask.repeat(group, 1), scale=scale)
    return found.reshape(query.shape)


def _products_are_faster(query: Tensor) -> bool:
    """Whether ``_attend_by_products`` is faster, and may be called: it keeps nothing for gradients."""
    on_cpu_in_bfloat16 = query.device.type == "cpu" and query.dtype == torch.bfloat16
    factors_are_rounded = torch.get_float32_matmul_precision() == "medium"
    return on_cpu_in_bfloat16 and factors_are_rounded and not torch.is_grad_enabled()


def _attend_by_products(query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None, scale: float) -> Tensor:
    """As torch's function: the scores are float32, and of the factors only the weights are rounded to bfloat16."""
    n_queries, n_keys = query.shape[2], key.shape[2]
    heads_at_once, queries_at_once = (max(1, SCORES_BYTES // (4 * n_keys * n)) for n in (n_queries, 1))
    heads = [_widened(part).flatten(0, 1).split(heads_at_once) for part in (query, key, value)]
    bias = None if attn_mask is None else torch.zeros(attn_mask.shape).masked_fill_(~attn_mask, -torch.inf)
    found = [
        torch.cat(
            [
                _weighted_values(queries[:, rows], keys, values, scale, None if bias is None else bias[rows])
                for rows in (slice(start, start + queries_at_once) for start in range(0, n_queries, queries_at_once))
            ],
            dim=1,
        )
        for queries, keys, values in zip(*heads, strict=True)
    ]
    return torch.cat(found).to(query.dtype).view(query.shape)


def _weighted_values(queries: Tensor, keys: Tensor, values: Tensor, scale: float, bias: Tensor | None) -> Tensor:
    """Attention of (heads, queries, size) in float32; ``bias`` (queries, keys) is added to the scores."""
    added, times = (queries.new_zeros(1), 0) if bias is None else (bias, 1)
    scores = torch.baddbmm(added, queries, keys.transpose(1, 2), beta=times, alpha=scale * LOG2_E)
    # Powers of two: torch's exp of float32 takes four times as long, and ten times where results are tiny.
    weights = scores.sub_(scores.amax(-1, keepdim=True)).exp2_()
    return torch.bmm(weights, values).div_(weights.sum(-1, keepdim=True))


def _widened(part: Tensor) -> Tensor:
    return part.to(torch.float32, memory_format=torch.contiguous_format)
