"""Modules that save work in a base's forward pass without changing its results; the weights stay as they are.

- The patch embedding becomes a matrix product: as a convolution it is slow, on GPUs above all. A still picture is one
  frame, and the kernel's two frames are added up (in bfloat16 that sum is rounded once).
- The last decoder layer's output is read at a few positions only. Keys and values are computed for every position;
  queries, output projection and MLP only for those that are read. That is little of a 7B's 28 layers, and much of
  nano's two.
- The vocabulary's logits are float32 whatever the weights' format: between 16 and 32 a step of bfloat16 is 0.125, and a
  label's score sums up to a dozen of them.
- Attention stays within each document of a packed row, and pictures of equal size are one call: ``attention.py``.
"""

from typing import Any

import torch
from torch import Tensor
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.models.qwen2_vl.modeling_qwen2_vl import PatchEmbed, rotate_half

from experts.qwen2vl.inputs.packed_rows import PackedLayout
from experts.qwen2vl.model.attention import attend_text, use_own_attention
from experts.qwen2vl.model.device import linear

VOCABULARY_SLICE = 16_384


def install_fast_modules(model: Any) -> None:
    """Change a base as described above: it then takes pictures of one frame, and packed rows."""
    embed, layers = model.model.visual.patch_embed, model.model.language_model.layers
    embed.__class__, embed.proj.__class__ = FrameEmbed, PatchProjection
    # Qwen3-VL adds pictures' features after its first layers, at positions that a shortened last layer has not.
    if len(getattr(model.config.vision_config, "deepstack_visual_indexes", ())) < len(layers):
        layers[-1].__class__ = type("LastLayer", (LastLayer, type(layers[-1])), {})
    model.lm_head.__class__ = FloatHead
    use_own_attention(model)


class FrameEmbed(PatchEmbed):  # type: ignore[misc]
    """Any family's patch embedding; it takes both frames of the kernel, or one frame, which stands for both."""

    def forward(self, hidden_states: Tensor) -> Tensor:
        """(n, channels * frames * rows * columns), with two frames or one, to (n, width)."""
        side = self.patch_size
        frames = hidden_states.view(len(hidden_states), self.in_channels, -1, side, side)
        both = frames.to(self.proj.weight.dtype).expand(-1, -1, self.temporal_patch_size, -1, -1)
        return self.proj(both).view(-1, self.embed_dim)  # type: ignore[no-any-return]


class PatchProjection(torch.nn.Conv3d):
    """A convolution whose stride is its kernel, over inputs of exactly one kernel: (n, channels, *kernel)."""

    def forward(self, patches: Tensor) -> Tensor:
        """(n, channels, frames, rows, columns) to (n, out channels, 1, 1, 1)."""
        weight = self.weight
        if patches.stride(2) == 0:  # one frame, expanded
            patches, weight = patches[:, :, :1], weight.sum(2)
        embedded = linear(patches.flatten(1), weight.flatten(1), self.bias)
        return embedded[:, :, None, None, None]


class FloatHead(torch.nn.Linear):
    """A linear layer whose results are not rounded to the weights' format; in training they are, as everywhere."""

    def forward(self, states: Tensor) -> Tensor:
        """(..., width) to (..., vocabulary), float32."""
        if self.weight.dtype == torch.float32 or torch.is_grad_enabled():
            return linear(states, self.weight, self.bias).float()
        rows = states.flatten(0, -2)
        if self.weight.is_cuda:
            found = torch.mm(rows, self.weight.T, out_dtype=torch.float32)
        else:
            # Elsewhere no product has this result; slices keep the copy of the weights small.
            found = torch.cat([rows.float() @ part.float().T for part in self.weight.split(VOCABULARY_SLICE)], dim=-1)
        return found.view(*states.shape[:-1], -1)


class LastLayer(GradientCheckpointingLayer):  # type: ignore[misc]
    """Put before a decoder layer's own class: it returns a packed row's ``read_positions`` only.

    Without a ``layout`` it returns all positions.
    """

    def forward(
        self,
        hidden_states: Tensor,
        position_embeddings: Any = None,
        layout: PackedLayout | None = None,
        **kwargs: Any,
    ) -> Tensor:
        """A packed row (1, S, width) to (1, read positions, width); without a ``layout`` (B, S, width) to itself.

        ``position_embeddings`` are the rotary cosines and sines, each (B, S, size).
        """
        if layout is None:
            whole: Tensor = super().forward(hidden_states, position_embeddings=position_embeddings, **kwargs)
            return whole
        attended = self._attend(self.input_layernorm(hidden_states), layout, position_embeddings)
        read: Tensor = hidden_states[:, layout.read_positions] + attended
        return read + self.mlp(self.post_attention_layernorm(read))  # type: ignore[no-any-return]

    def _attend(self, states: Tensor, layout: PackedLayout, rotary: tuple[Tensor, Tensor]) -> Tensor:
        """Self-attention of the read positions: (1, S, width) to (1, read positions, width).

        ``rotary`` are the cosines and sines, each (1, S, size).
        """
        attention, read = self.self_attn, layout.read_positions
        cos, sin = (self._by_section(part)[:, None] for part in rotary)

        def heads(projected: Tensor, norm: str = "") -> Tensor:
            split = projected.view(*projected.shape[:2], -1, attention.head_dim)
            return (getattr(attention, norm)(split) if hasattr(attention, norm) else split).transpose(1, 2)

        query, key = heads(attention.q_proj(states[:, read]), "q_norm"), heads(attention.k_proj(states), "k_norm")
        attended, _ = attend_text(
            attention,
            query * cos[:, :, read] + rotate_half(query) * sin[:, :, read],
            key * cos + rotate_half(key) * sin,
            heads(attention.v_proj(states)),
            None,
            scaling=attention.scaling,
            layout=layout,
        )
        projected: Tensor = attention.o_proj(attended.flatten(2))
        return projected

    def _by_section(self, part: Tensor) -> Tensor:
        """Cosines or sines as (1, S, size); older transformers keep M-RoPE's three axes apart: (3, 1, S, size)."""
        if part.ndim == 3:
            return part
        sections = part.split(self.self_attn.config.rope_parameters["mrope_section"] * 2, dim=-1)
        return torch.cat([section[index % 3] for index, section in enumerate(sections)], dim=-1)
