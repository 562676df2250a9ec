"""Work of Qwen2-VL's forward pass that scoring can leave out, exactly; the weights stay as they are.

- The patch embedding is a matrix product; as a convolution it is slow, on GPUs above all. A still is one frame, and
  the kernel's two frames add up.
- The last decoder layer's output is read at a few places only. Keys and values come from every place; queries,
  output projection and MLP only from those that are read. Of a 7B's 28 layers that is little, of nano's two a lot.
"""

from typing import Any

import torch
from torch import Tensor
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.models.qwen2_vl.modeling_qwen2_vl import PatchEmbed, Qwen2VLDecoderLayer, rotate_half


def take_shortcuts(model: Any) -> None:
    """Let a Qwen2-VL run as above: it then takes pictures of one frame too, and ``n_reads`` in a call."""
    embed = model.model.visual.patch_embed
    embed.__class__, embed.proj.__class__ = FrameEmbed, PatchProjection
    model.model.language_model.layers[-1].__class__ = LastLayer


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
    """A decoder layer that gives the last ``n_reads`` places of every row; all of them where that is None."""

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        position_embeddings: tuple[Tensor, Tensor] | None = None,
        n_reads: int | None = None,
        **kwargs: Any,
    ) -> Tensor:
        """(B, S, width) to (B, n_reads, width); ``attention_mask`` (B, 1, S, S) is added to the scores."""
        if n_reads is None or position_embeddings is None or attention_mask is None:
            whole: Tensor = super().forward(
                hidden_states, attention_mask, position_embeddings=position_embeddings, **kwargs
            )
            return whole
        seen = self._attend(self.input_layernorm(hidden_states), attention_mask, position_embeddings, n_reads)
        read = hidden_states[:, -n_reads:] + seen
        return read + self.mlp(self.post_attention_layernorm(read))

    def _attend(self, states: Tensor, mask: Tensor, rotary: tuple[Tensor, Tensor], n_reads: int) -> Tensor:
        attention = self.self_attn
        cos, sin = (part[:, None] for part in rotary)

        def heads(projected: Tensor) -> Tensor:
            return projected.unflatten(-1, (-1, attention.head_dim)).transpose(1, 2)

        def rotated(x: Tensor) -> Tensor:
            n = x.shape[2]
            return x * cos[:, :, -n:] + rotate_half(x) * sin[:, :, -n:]

        seen, _ = sdpa_attention_forward(
            attention,
            rotated(heads(attention.q_proj(states[:, -n_reads:]))),
            rotated(heads(attention.k_proj(states))),
            heads(attention.v_proj(states)),
            mask[:, :, -n_reads:],
            scaling=attention.scaling,
        )
        projected: Tensor = attention.o_proj(seen.flatten(2))
        return projected
