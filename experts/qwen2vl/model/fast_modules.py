"""Modules that save work in a base's forward pass without changing its results; the weights stay as they are.

- The patch embedding becomes a matrix product: as a convolution it is slow, on GPUs above all. A still picture is one
  frame, and the kernel's two frames are added up (in bfloat16 that sum is rounded once).
- The last decoder layer's output is read at a few positions only. Keys and values are computed for every position;
  queries, output projection and MLP only for those that are read. That is little of a 7B's 28 layers, and much of
  nano's two.
- The vocabulary's logits are float32 whatever the weights' format: between 16 and 32 a step of bfloat16 is 0.125, and a
  label's score sums up to a dozen of them. A prediction works on a slice of the vocabulary at a time and keeps none.
- Attention stays within each document of a packed row (``packed_rows.py``), and pictures of equal size are one call
  (``attention.py``). Without a ``layout``, as in generate, the family's own attention and mask serve the text.
- A norm is one kernel, and rotary positions are two (``attention.py``): on a GPU elementwise work still takes half as
  long as the matrix products.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.models.qwen2_vl.modeling_qwen2_vl import PatchEmbed

from experts.qwen2vl.inputs.packed_rows import PackedLayout
from experts.qwen2vl.model.attention import PackedAttention, TowerAttention
from experts.qwen2vl.model.attention_kernels import LOG2_E
from experts.qwen2vl.model.device import linear

GPU_SLICE_BYTES, CPU_SLICE_BYTES = 256 << 20, 1 << 20
"""Bytes of logits that exist at a time. A CPU holds them in its cache: fresh memory costs more than the product."""
MIN_SLICE = 256
"""Tokens of the vocabulary: fewer would make a slow product."""


def install_fast_modules(model: Any) -> None:
    """Change a base as described above: it then takes pictures of one frame, and packed rows."""
    embed, layers = model.model.visual.patch_embed, model.model.language_model.layers
    embed.__class__, embed.proj.__class__ = FrameEmbed, PatchProjection
    # Qwen3-VL adds pictures' features after its first layers, at positions that a shortened last layer has not.
    if len(getattr(model.config.vision_config, "deepstack_visual_indexes", ())) < len(layers):
        _mix_in(LastLayer, layers[-1:])
    model.lm_head.__class__ = FloatHead
    for module in model.modules():
        if hasattr(module, "variance_epsilon"):
            module.__class__ = FusedNorm
    _mix_in(TowerAttention, [block.attn for block in model.model.visual.blocks])
    _mix_in(PackedAttention, [layer.self_attn for layer in layers])


def _mix_in(own: type, modules: Sequence[Any]) -> None:
    """Have modules of one class do as ``own`` does, and else as their class."""
    family = type(modules[0])
    # One class for all of them: compiled, each further class would need a graph of its own.
    mixed = type(own.__name__, (own, family), {})
    for module in modules:
        module.__class__ = mixed


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
    """A linear layer without bias whose results are not rounded to the weights' format; in training they are."""

    def forward(self, states: Tensor) -> Tensor:
        """(..., width) to (..., vocabulary), float32."""
        if self.weight.dtype == torch.float32 or torch.is_grad_enabled():
            return linear(states, self.weight).float()
        rows = states.flatten(0, -2)
        return torch.cat(list(self._slices(rows)), dim=1).view(*states.shape[:-1], -1)

    def log_normalisers(self, states: Tensor) -> Tensor:
        """(n, width) to (n,), float32: the logarithm of the sum of the exponentials of a state's logits."""
        sums = []
        for logits in self._slices(states):
            highest = logits.amax(dim=1, keepdim=True)
            # Powers of two, as in ``attention_kernels.py``.
            powers = torch.add(highest * -LOG2_E, logits, alpha=LOG2_E, out=logits).exp2_()
            sums.append(powers.sum(dim=1).log_() + highest[:, 0])
        return torch.stack(sums).logsumexp(dim=0)

    def _slices(self, states: Tensor) -> Iterator[Tensor]:
        """The logits (n, part of the vocabulary), float32, part by part."""
        limit = GPU_SLICE_BYTES if states.is_cuda else CPU_SLICE_BYTES
        for weight in self.weight.split(max(MIN_SLICE, limit // (4 * len(states)))):
            if states.is_cuda and states.dtype != torch.float32:
                yield torch.mm(states, weight.T, out_dtype=torch.float32)
            else:  # elsewhere no product has a result of another format: a copy of a part of the weights is small
                yield states.float() @ weight.float().T


class FusedNorm(torch.nn.Module):
    """Any family's RMSNorm (https://arxiv.org/abs/1910.07467)."""

    weight: torch.nn.Parameter
    variance_epsilon: float

    def forward(self, states: Tensor) -> Tensor:
        """(..., width) to itself."""
        found = torch.nn.functional.rms_norm(states, self.weight.shape, self.weight, self.variance_epsilon)
        return found.to(states.dtype)  # in training, autocast leaves it in float32


class LastLayer(GradientCheckpointingLayer):  # type: ignore[misc]
    """A mixin of a family's decoder layer: it returns a packed row's ``read_positions`` only.

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
