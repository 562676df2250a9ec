"""What makes a loaded Qwen2-VL fast, weights and answers untouched."""

from typing import Any

from experts.qwen2vl.attention import use_own_attention
from experts.qwen2vl.patch_projection import project_patches_by_matrix


def make_fast(model: Any) -> None:
    """Patches by a matrix product, packed rows, and a last layer that works only where scores are read."""
    # It imports transformers, which base.py first mends.
    from experts.qwen2vl.last_layer import trim_last_layer

    project_patches_by_matrix(model)
    use_own_attention(model)
    trim_last_layer(model)


def compile_layers(model: Any) -> None:
    """Compile every layer of both towers where it stands, when it is first used.

    Layers of a tower are alike, so one graph serves all; its lengths are symbols, so it serves all batches.
    """
    for layer in (*model.model.visual.blocks, *model.model.language_model.layers):
        layer.compile(dynamic=True)
