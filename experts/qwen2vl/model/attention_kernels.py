"""Softmax attention (https://arxiv.org/abs/1706.03762): torch's kernels, or on a CPU in bfloat16 our own products.

torch's kernel for CPUs is no faster in bfloat16 than in float32. oneDNN's products take half the time, and give float32
scores where ``bfloat16_factors`` (``device.py``) is in force.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

SCORES_BYTES = 4 << 20
"""Bytes of scores that exist at a time, per thread: a CPU's cache holds them."""
LOG2_E = math.log2(math.e)


def attend(
    query: Tensor, key: Tensor, value: Tensor, scale: float, *, mask: Tensor | None = None, causal: bool = False
) -> Tensor:
    """Attention of ``query`` (n, heads, queries, size); the result has its shape.

    ``key`` and ``value`` are (n, key heads, keys, size). A query attends to the keys that ``mask`` (queries, keys) bool
    names, at least one, with ``causal`` to those up to its own place, else to all.
    """
    n, heads, n_queries, size = query.shape
    group = heads // key.shape[1]
    # Heads that share a key are folded into further queries, so that no key is copied.
    folded = query.reshape(n, key.shape[1], group * n_queries, size)
    if _products_are_faster(query):
        if causal:
            mask = torch.ones(n_queries, n_queries, dtype=torch.bool).tril_()
        found = _attend_by_products(folded, key, value, scale, mask)
    elif causal:
        found = scaled_dot_product_attention(query, key, value, is_causal=True, scale=scale, enable_gqa=group > 1)
    else:
        mask = None if mask is None else mask.repeat(group, 1)
        found = scaled_dot_product_attention(folded, key, value, attn_mask=mask, scale=scale)
    return found.reshape(query.shape)


def _products_are_faster(query: Tensor) -> bool:
    """Whether ``_attend_by_products`` is faster, and may be called: it keeps nothing for gradients."""
    if query.device.type != "cpu" or query.dtype != torch.bfloat16 or torch.is_grad_enabled() or not query.numel():
        return False
    return torch.get_float32_matmul_precision() == "medium"


def _attend_by_products(query: Tensor, key: Tensor, value: Tensor, scale: float, mask: Tensor | None) -> Tensor:
    """``query`` (n, heads, queries, size) may hold a multiple of the mask's queries: the same queries of several heads.

    The scores are float32, and of the factors only the weights are rounded to bfloat16, as by torch's kernel.
    """
    n_queries, n_keys = query.shape[2], key.shape[2]
    n_scores = SCORES_BYTES * torch.get_num_threads() // 4
    heads_at_once, queries_at_once = max(1, n_scores // (n_queries * n_keys)), max(1, n_scores // n_keys)
    heads = list(zip(*(_widened(part).flatten(0, 1).split(heads_at_once) for part in (query, key, value)), strict=True))
    found = []
    for start in range(0, n_queries, queries_at_once):
        stop = min(start + queries_at_once, n_queries)
        bias = None
        if mask is not None:
            own = mask[torch.arange(start, stop) % len(mask)]
            bias = torch.zeros(own.shape).masked_fill_(~own, -torch.inf)
        parts = [_weighted_values(queries[:, start:stop], keys, values, scale, bias) for queries, keys, values in heads]
        found.append(torch.cat(parts))
    return torch.cat(found, dim=1).to(query.dtype).view(query.shape)


def _weighted_values(queries: Tensor, keys: Tensor, values: Tensor, scale: float, bias: Tensor | None) -> Tensor:
    """Attention of (heads, queries, size) in float32; ``bias`` (queries, keys) is added to the scores."""
    added, times = (queries.new_zeros(1), 0) if bias is None else (bias, 1)
    scores = torch.baddbmm(added, queries, keys.transpose(1, 2), beta=times, alpha=scale * LOG2_E)
    # Powers of two: torch's exp of float32 takes four times as long, and ten times where results are tiny.
    weights = scores.sub_(scores.amax(-1, keepdim=True)).exp2_()
    return torch.bmm(weights, values).div_(weights.sum(-1, keepdim=True))


def _widened(part: Tensor) -> Tensor:
    return part.to(torch.float32, memory_format=torch.contiguous_format)
