"""Attention functions of ours, registered with transformers: packed rows, and pictures of one size together."""

from itertools import groupby
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from experts.qwen2vl.inputs.packed_rows import PackedLayout, unpack_run

TEXT = "mire_documents"
PICTURES = "mire_flash_pictures"
"""transformers hands the pictures' bounds to functions with "flash" in their name; others get one picture a call."""


def use_own_attention(model: Any) -> None:
    """Let a Qwen2-VL run packed rows (``PackedLayout`` as its mask) beside the masks that it knows."""
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(TEXT, attend_text)
    AttentionInterface.register(PICTURES, attend_pictures)
    # Where no mask is given, as in generate, the mask and the attention are those of sdpa.
    AttentionMaskInterface.register(TEXT, AttentionMaskInterface()["sdpa"])
    model.set_attn_implementation({"text_config": TEXT, "vision_config": PICTURES})


def attend_text(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Any, *, scaling: float, **options: Any
) -> tuple[Tensor, None]:
    """(batch, heads, tokens, size) to (batch, tokens, heads, size)."""
    if isinstance(attention_mask, PackedLayout):
        return attention_mask.attend(query, key, value, scaling), None
    from transformers import AttentionInterface

    plain = AttentionInterface()["sdpa"]
    return plain(module, query, key, value, attention_mask, scaling=scaling, **options)  # type: ignore[no-any-return]


# As PackedLayout.attend: a loop over what changes with every batch is not compiled.
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
    """(1, heads, patches, size) to (1, patches, heads, size); ``cu_seq_lens_q`` (pictures + 1,) are their bounds.

    A picture sees itself only. Neighbours of one size are one call.
    """
    parts = []
    start = 0
    for size, run in groupby(_lengths(cu_seq_lens_q)):
        n = len(list(run))
        batch = (unpack_run(part, start, n, size) for part in (query, key, value))
        parts.append(scaled_dot_product_attention(*batch, scale=scaling).transpose(1, 2).flatten(0, 1))
        start += n * size
    return torch.cat(parts)[None], None


def _lengths(bounds: Any) -> list[int]:
    """Patches of each picture; asked of the device once a pass, since every layer gets the same tensor."""
    if not hasattr(bounds, "lengths"):
        bounds.lengths = bounds.diff().tolist()
    return list(bounds.lengths)
