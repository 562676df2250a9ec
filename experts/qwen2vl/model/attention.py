"""The tower's attention: pictures of equal size in one call."""

from itertools import groupby
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from experts.qwen2vl.inputs.packed_rows import unpack_run


# As PackedLayout.attend: a loop whose length changes with every batch is not compiled.
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
        queries, keys, values = (unpack_run(part, start, n, size) for part in (query, key, value))
        found = scaled_dot_product_attention(queries, keys, values, scale=scale)
        parts.append(found.transpose(1, 2).flatten(0, 1))
        start += n * size
    return torch.cat(parts)[None]


def _lengths(bounds: Any) -> list[int]:
    """Patches of each picture; read from the device once per pass, since every layer gets the same tensor."""
    if not hasattr(bounds, "lengths"):
        bounds.lengths = bounds.diff().tolist()
    return list(bounds.lengths)
