"""Modules that save work in a base's forward pass without changing its results; the weights stay as they are.

- The patch embedding becomes a matrix product: as a convolution it is slow, on GPUs above all. A still picture is one
  frame, and the kernel's two frames are added up (in bfloat16 that sum is rounded once).
- The last decoder layer's output is read at a few positions only. Keys and values are computed for every position;
  queries, output projection and MLP only for those that are read. That is little of a 7B's 28 layers, and much of
  nano's two.
- The vocabulary's logits are float32 whatever the weights' format: between 16 and 32 a step of bfloat16 is 0.125, and a
  label's score sums up to a dozen of them.
- Attention stays within each document of a packed row (``packed_rows.py``), and pictures of equal size are one call
  (``attention.py``). Without a ``layout``, as in generate, the family's own attention and mask serve the text.
- A norm is one kernel, and queries and keys are turned in two: on a GPU elementwise work still takes half as
  long as the matrix products.
"""

from typing import Any

import torch
from torch import Tensor
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.models.qwen2_vl.modeling_qwen2_vl import PatchEmbed

from experts.qwen2vl.inputs.packed_rows import PackedLayout
from experts.qwen2vl.model.attention import attend_pictures
from experts.qwen2vl.model.device import linear

VOCABULARY_SLICE = 16_384


def install_fast_modules(model: Any) -> None:
    """Change a base as described above: it then takes pictures of one frame, and packed rows."""
    embed, layers = model.model.visual.patch_embed, model.model.language_model.layers
    embed.__class__, embed.proj.__class__ = FrameEmbed, PatchProjection
    # Qwen3-VL adds pictures' features after its first layers, at positions that a shortened last layer has not.
    if len(getattr(model.config.vision_config, "deepstack_visual_indexes", ())) < len(layers):
        _put_before(LastLayer, layers[-1])
    model.lm_head.__class__ = FloatHead
    for module in model.modules():
        if hasattr(module, "variance_epsilon"):
            module.__class__ = FusedNorm
    for block in model.model.visual.blocks:
        _put_before(TowerAttention, block.attn)
    for layer in layers:
        _put_before(RowAttention, layer.self_attn)


def _put_before(own: type, module: Any) -> None:
    """Have a module do as ``own`` does, and else as the family's class."""
    family = type(module)
    # One class for all layers: compiled, each further class would need a graph of its own.
    module.__class__ = _JOINED.setdefault((own, family), type(own.__name__, (own, family), {}))


_JOINED: dict[tuple[type, type], type] = {}


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
            found = rows.new_empty(len(rows), len(self.weight), dtype=torch.float32)
            for start in range(0, len(self.weight), VOCABULARY_SLICE):
                part = slice(start, start + VOCABULARY_SLICE)
                found[:, part] = rows.float() @ self.weight[part].float().T
        return found.view(*states.shape[:-1], -1)


class FusedNorm(torch.nn.Module):
    """Any family's RMSNorm (https://arxiv.org/abs/1910.07467)."""

    weight: torch.nn.Parameter
    variance_epsilon: float

    def forward(self, states: Tensor) -> Tensor:
        """(..., width) to itself."""
        found = torch.nn.functional.rms_norm(states, self.weight.shape, self.weight, self.variance_epsilon)
        return found.to(states.dtype)  # in training, autocast leaves it in float32


class TowerAttention(torch.nn.Module):
    """Put before the class of any family's tower attention."""

    qkv: torch.nn.Module
    proj: torch.nn.Module
    num_heads: int
    scaling: float

    def forward(
        self, hidden_states: Tensor, cu_seqlens: Tensor, position_embeddings: tuple[Tensor, Tensor], **_: Any
    ) -> Tensor:
        """(patches, width) to itself; the cosines and sines are (patches, size of a head)."""
        split = self.qkv(hidden_states).view(len(hidden_states), 3, self.num_heads, -1)
        query, key = turned(split[:, :2], *(part[:, None, None] for part in position_embeddings)).unbind(1)
        query, key, value = (part.transpose(0, 1)[None] for part in (query, key, split[:, 2]))
        found = attend_pictures(query, key, value, cu_seqlens, self.scaling)
        return self.proj(found.flatten(2)[0])  # type: ignore[no-any-return]


class RowAttention(torch.nn.Module):
    """Put before the class of any family's decoder attention, for packed rows."""

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
        query = turned(self._heads(self.q_proj(asking), "q_norm"), *of_asking)
        key = turned(self._heads(self.k_proj(hidden_states), "k_norm"), cos, sin)
        query, key, value = (part.transpose(1, 2) for part in (query, key, self._heads(self.v_proj(hidden_states))))
        return self.o_proj(layout.attend(query, key, value, self.scaling).flatten(2)), None

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


def turned(states: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
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
        read = layout.read_positions
        states = self.input_layernorm(hidden_states)
        attended, _ = self.self_attn(states, position_embeddings, layout, read)
        states = hidden_states[:, read] + attended
        return states + self.mlp(self.post_attention_layernorm(states))  # type: ignore[no-any-return]
