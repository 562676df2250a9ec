"""A base's attention: within each document of a packed row, and within each picture; rotary positions."""

from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from experts.qwen2vl.inputs.packed_rows import PackedLayout
from experts.qwen2vl.model.attention_kernels import attend


class TowerAttention(torch.nn.Module):
    """A mixin of any family's tower attention."""

    qkv: torch.nn.Module
    proj: torch.nn.Module
    num_heads: int
    scaling: float

    def forward(
        self, hidden_states: Tensor, cu_seqlens: Tensor, position_embeddings: tuple[Tensor, Tensor], **_: Any
    ) -> Tensor:
        """(patches, width) to itself; the cosines and sines are (patches, size of a head)."""
        split = self.qkv(hidden_states).view(len(hidden_states), 3, self.num_heads, -1)
        query, key = apply_rotary(split[:, :2], *(part[:, None, None] for part in position_embeddings)).unbind(1)
        query, key, value = (part.transpose(0, 1)[None] for part in (query, key, split[:, 2]))
        found = attend_pictures(query, key, value, cu_seqlens, self.scaling)
        return self.proj(found.flatten(2)[0])  # type: ignore[no-any-return]


class PackedAttention(torch.nn.Module):
    """A mixin of any family's decoder attention, for packed rows."""

    q_proj: torch.nn.Module
    k_proj: torch.nn.Module
    v_proj: torch.nn.Module
    o_proj: torch.nn.Module
    head_dim: int
    scaling: float
    config: Any

    def forward(
        self,
        hidden_states: Tensor,
        position_embeddings: Any = None,
        layout: PackedLayout | None = None,
        read: Tensor | None = None,
        **kwargs: Any,
    ) -> tuple[Tensor, Any]:
        """A packed row (1, S, width) to itself, or to (1, read positions, width) where ``read`` holds their indices.

        ``position_embeddings`` are the rotary cosines and sines, each (1, S, size). Without a ``layout`` the family's
        own attention is called.
        """
        if layout is None:
            return super().forward(  # type: ignore[misc, no-any-return]
                hidden_states, position_embeddings=position_embeddings, **kwargs
            )
        cos, sin = (self._by_section(part)[:, :, None] for part in position_embeddings)
        asking, of_asking = hidden_states, (cos, sin)
        if read is not None:
            asking, of_asking = hidden_states[:, read], (cos[:, read], sin[:, read])
        query = apply_rotary(self._heads(self.q_proj(asking), "q_norm"), *of_asking)
        key = apply_rotary(self._heads(self.k_proj(hidden_states), "k_norm"), cos, sin)
        query, key, value = (part.transpose(1, 2) for part in (query, key, self._heads(self.v_proj(hidden_states))))
        return self.o_proj(attend_documents(layout, query, key, value, self.scaling).flatten(2)), None

    def _heads(self, projected: Tensor, norm: str = "") -> Tensor:
        """(1, n, heads * size) to (1, n, heads, size), normalised per head in the families that do so."""
        split = projected.view(*projected.shape[:2], -1, self.head_dim)
        return getattr(self, norm)(split) if hasattr(self, norm) else split

    def _by_section(self, part: Tensor) -> Tensor:
        """Cosines or sines as (1, S, size); older transformers keep M-RoPE's three axes apart: (3, 1, S, size)."""
        if part.ndim == 3:
            return part
        sections = part.split(self.config.rope_parameters["mrope_section"] * 2, dim=-1)
        return torch.cat([section[index % 3] for index, section in enumerate(sections)], dim=-1)


def apply_rotary(states: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions (https://arxiv.org/abs/2104.09864): ``states * cos + rotate_half(states) * sin``.

    All are (..., size), and ``cos`` and ``sin`` may have 1 instead of a length. Each half of the result is a sum over
    both halves of ``states``. On a GPU one product and one sum give it whole; a CPU is faster by halves.
    """
    if not states.is_cuda:
        (left, right), (cos_left, cos_right), (sin_left, sin_right) = (part.chunk(2, -1) for part in (states, cos, sin))
        halves = left * cos_left - right * sin_left, right * cos_right + left * sin_right
        return torch.cat(halves, dim=-1).to(states.dtype)
    left, right = states.unflatten(-1, (2, -1)).split(1, dim=-2)
    (cos_left, cos_right), (sin_left, sin_right) = (part.unflatten(-1, (2, -1)).split(1, dim=-2) for part in (cos, sin))
    of_left, of_right = torch.cat([cos_left, sin_right], dim=-2), torch.cat([-sin_left, cos_right], dim=-2)
    return torch.addcmul(left * of_left, right, of_right).flatten(-2).to(states.dtype)


# A loop that is as long as the row has runs, or pictures: compiled, every batch would need its own graph.
@torch.compiler.disable  # type: ignore[untyped-decorator]
def attend_documents(layout: PackedLayout, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    """Attention within each document of a packed row of S tokens.

    ``query`` (1, heads, n, size) holds all S tokens, or only those at ``read_positions``; ``key`` and ``value`` are
    (1, key heads, S, size). The result is (1, n, heads, size), zero for padding. Neighbouring documents of equal length
    are one call.
    """
    n_read, n_inner = layout.node_mask.shape
    whole = query.shape[2] == key.shape[2]
    parts = []
    start = first = 0
    for (n, length), mask in zip(layout.run_lengths, layout.run_masks, strict=True):
        size = length + n_inner
        keys, values = _unpack_run(key, start, n, size), _unpack_run(value, start, n, size)
        queries = _unpack_run(query, start, n, size) if whole else _unpack_run(query, first, n, n_read)
        rows = []
        if whole:
            before = slice(length - 1)
            rows = [attend(queries[:, :, before], keys[:, :, before], values[:, :, before], scale, causal=True)]
            queries = queries[:, :, length - 1 :]
        rows.append(attend(queries, keys, values, scale, mask=mask))
        parts.append(torch.cat(rows, dim=2).transpose(1, 2).flatten(0, 1))
        start, first = start + n * size, first + n * n_read
    if whole and layout.n_padding:
        parts.append(parts[-1].new_zeros(layout.n_padding, *parts[-1].shape[1:]))
    return torch.cat(parts)[None]


@torch.compiler.disable  # type: ignore[untyped-decorator]
def attend_pictures(query: Tensor, key: Tensor, value: Tensor, bounds: Tensor, scale: float) -> Tensor:
    """Attention of the vision tower: a patch attends to the patches of its own picture.

    ``query``, ``key`` and ``value`` are (1, heads, patches, size), the result (1, patches, heads, size); ``bounds``
    (pictures + 1,) int32 holds the index of each picture's first patch, and the end. Neighbouring pictures of equal
    size are one call.
    """
    parts = []
    start = 0
    for size, run in groupby(_lengths(bounds)):
        n = len(list(run))
        queries, keys, values = (_unpack_run(part, start, n, size) for part in (query, key, value))
        parts.append(attend(queries, keys, values, scale).transpose(1, 2).flatten(0, 1))
        start += n * size
    return torch.cat(parts)[None]


def _unpack_run(row: Tensor, start: int, n: int, size: int) -> Tensor:
    """``n`` neighbours of ``size`` tokens from ``start`` on, as a batch: (1, heads, S, d) to (n, heads, size, d)."""
    _, heads, _, width = row.shape
    return row[0, :, start : start + n * size].reshape(heads, n, size, width).transpose(0, 1)


def _lengths(bounds: Any) -> list[int]:
    """Patches of each picture; read from the device once per pass, since every layer gets the same tensor."""
    if not hasattr(bounds, "lengths"):
        bounds.lengths = bounds.diff().tolist()
    return list(bounds.lengths)
