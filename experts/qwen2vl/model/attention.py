"""Attention functions that are registered with transformers: packed rows, and pictures of equal size in one call."""

from itertools import groupby
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from experts.qwen2vl.inputs.packed_rows import PackedLayout, unpack_run

TEXT = "mire_packed_rows"
PICTURES = "mire_flash_pictures"
"""transformers passes pictures' bounds only to functions with "flash" in their name; it calls others per picture."""


def use_own_attention(model: Any) -> None:
    """Let a base's forward pass take a ``layout``, which replaces its attention mask."""
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(TEXT, attend_text)
    AttentionInterface.register(PICTURES, attend_pictures)
    # Where no layout is given, as in generate, the mask and the attention are those of sdpa.
    AttentionMaskInterface.register(TEXT, AttentionMaskInterface()["sdpa"])
    model.set_attn_implementation({"text_config": TEXT, "vision_config": PICTURES})


def attend_text(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float,
    layout: PackedLayout | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Attention of the language model.

    ``query`` is (batch, heads, queries, size), ``key`` and ``value`` (batch, key heads, tokens, size), the result
    (batch, queries, heads, size). With a ``layout`` batch is 1, and ``attention_mask`` is not looked at; without one it
    is what transformers' sdpa function takes.
    """
    if layout is not None:
        return layout.attend(query, key, value, scaling), None
    from transformers import AttentionInterface

    plain = AttentionInterface()["sdpa"]
    return plain(module, query, key, value, attention_mask, scaling=scaling, **options)  # type: ignore[no-any-return]


# As PackedLayout.attend: a loop whose length changes with every batch is not compiled.
@torch.compiler.disable  # type: ignore[untyped-decorator]
def attend_pictures(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: None,
    *,
    scaling: float,
    cu_seq_lens_q: Tensor,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attention of the vision tower: a patch attends to the patches of its own picture.

    ``query``, ``key`` and ``value`` are (1, heads, patches, size), the result (1, patches, heads, size);
    ``cu_seq_lens_q`` (pictures + 1,) int32 holds the index of each picture's first patch, and the end. Neighbouring
    pictures of equal size are one call.
    """
    parts = []
    start = 0
    for size, run in groupby(_lengths(cu_seq_lens_q)):
        n = len(list(run))
        queries, keys, values = (unpack_run(part, start, n, size) for part in (query, key, value))
        found = scaled_dot_product_attention(queries, keys, values, scale=scaling)
        parts.append(found.transpose(1, 2).flatten(0, 1))
        start += n * size
    return torch.cat(parts)[None], None


def _lengths(bounds: Any) -> list[int]:
    """Patches of each picture; read from the device once per pass, since every layer gets the same tensor."""
    if not hasattr(bounds, "lengths"):
        bounds.lengths = bounds.diff().tolist()
    return list(bounds.lengths)
