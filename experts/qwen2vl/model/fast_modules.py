"""Work of Qwen2-VL's forward pass that scoring can leave out, exactly; the weights stay as they are.

- The patch embedding is a matrix product; as a convolution it is slow, on GPUs above all. A still is one frame, and
  the kernel's two frames add up.
- The last decoder layer's output is read at a few places only. Keys and values come from every place; queries,
  output projection and MLP only from those that are read. Of a 7B's 28 layers that is little, of nano's two a lot.
- Attention of packed rows stays within a document, and pictures of one size are one call: ``attention.py``.
"""

from typing import Any

import torch
from torch import Tensor
from transformers.models.qwen2_vl.modeling_qwen2_vl import PatchEmbed, Qwen2VLDecoderLayer, rotate_half

from experts.qwen2vl.inputs.packed_rows import PackedLayout
from experts.qwen2vl.model.attention import attend_text, use_own_attention


def install_fast_modules(model: Any) -> None:
    """Let a Qwen2-VL run as above: it then takes pictures of one frame, packed rows, and ``n_read_positions``."""
    embed = model.model.visual.patch_embed
    embed.__class__, embed.proj.__class__ = FrameEmbed, PatchProjection
    model.model.language_model.layers[-1].__class__ = LastLayer
    use_own_attention(model)


class FrameEmbed(PatchEmbed):  # type: ignore[misc]
    """Takes patches of the whole kernel (n, channels * frames * rows * columns), or of one frame of a still."""

    def forward(self, hidden_states: Tensor) -> Tensor:
        """To (n, width)."""
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
        embedded = torch.nn.functional.linear(patches.flatten(1), weight.flatten(1), self.bias)
        return embedded[:, :, None, None, None]


class LastLayer(Qwen2VLDecoderLayer):
    """A decoder layer that gives the places that are read only; all of them where ``n_read_positions`` is None.

    Those are a packed row's ``PackedLayout.places``, and of padded rows the last ``n_read_positions``.
    """

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | PackedLayout | None = None,
        position_embeddings: tuple[Tensor, Tensor] | None = None,
        n_read_positions: int | None = None,
        **kwargs: Any,
    ) -> Tensor:
        """(B, S, width) to (B, places, width); a tensor ``attention_mask`` (B, 1, S, S) is added to the scores."""
        if n_read_positions is None or position_embeddings is None or attention_mask is None:
            whole: Tensor = super().forward(
                hidden_states, attention_mask, position_embeddings=position_embeddings, **kwargs
            )
            return whole
        entered = self.input_layernorm(hidden_states)
        if isinstance(attention_mask, PackedLayout):
            places: Any = attention_mask.places
            seen = self._attend(entered, places, attention_mask, position_embeddings)
        else:
            places = slice(-n_read_positions, None)
            seen = self._attend(entered, places, attention_mask[:, :, places], position_embeddings)
        read = hidden_states[:, places] + seen
        return read + self.mlp(self.post_attention_layernorm(read))

    def _attend(
        self, states: Tensor, places: Any, mask: Tensor | PackedLayout, rotary: tuple[Tensor, Tensor]
    ) -> Tensor:
        attention = self.self_attn
        cos, sin = (self._by_section(part)[:, None] for part in rotary)

        def heads(projected: Tensor) -> Tensor:
            return projected.unflatten(-1, (-1, attention.head_dim)).transpose(1, 2)

        query, key = heads(attention.q_proj(states[:, places])), heads(attention.k_proj(states))
        seen, _ = attend_text(
            attention,
            query * cos[:, :, places] + rotate_half(query) * sin[:, :, places],
            key * cos + rotate_half(key) * sin,
            heads(attention.v_proj(states)),
            mask,
            scaling=attention.scaling,
        )
        projected: Tensor = attention.o_proj(seen.flatten(2))
        return projected

    def _by_section(self, part: Tensor) -> Tensor:
        """Older transformers keep the three axes of M-RoPE apart up to this place: (3, batch, tokens, size)."""
        if part.ndim == 3:
            return part
        sections = part.split(self.self_attn.config.rope_parameters["mrope_section"] * 2, dim=-1)
        return torch.cat([section[place % 3] for place, section in enumerate(sections)], dim=-1)
