"""The last decoder layer of a packed row: keys and values of every token, all else only where scores are read."""

from typing import Any

import torch
from torch import Tensor
from transformers.models.qwen2_vl.modeling_qwen2_vl import Qwen2VLDecoderLayer

from experts.qwen2vl.documents import Documents


class LastLayer(Qwen2VLDecoderLayer):
    """A decoder layer that gives back the ``places`` of ``Documents`` only; without them it is the ordinary one."""

    def forward(
        self, hidden_states: Tensor, attention_mask: Any = None, position_embeddings: Any = None, **others: Any
    ) -> Tensor:
        """(1, tokens, width) to (1, places, width)."""
        if not isinstance(attention_mask, Documents):
            return super().forward(  # type: ignore[no-any-return]
                hidden_states, attention_mask=attention_mask, position_embeddings=position_embeddings, **others
            )
        places, inner = attention_mask.places, self.self_attn
        cos, sin = (_by_section(turns, inner.config) for turns in position_embeddings)
        entered = self.input_layernorm(hidden_states)
        query = _heads(inner.q_proj(entered[:, places]), inner.head_dim)
        key, value = (_heads(project(entered), inner.head_dim) for project in (inner.k_proj, inner.v_proj))
        query, key = _turned(query, cos[:, places], sin[:, places]), _turned(key, cos, sin)
        seen = attention_mask.attend(query, key, value, inner.scaling)
        read = hidden_states[:, places] + inner.o_proj(seen.flatten(2))
        return read + self.mlp(self.post_attention_layernorm(read))  # type: ignore[no-any-return]


def trim_last_layer(model: Any) -> None:
    """Let a Qwen2-VL's last decoder layer work only where scores are read; its weights stay where they are."""
    model.model.language_model.layers[-1].__class__ = LastLayer


def _heads(projected: Tensor, size: int) -> Tensor:
    """(batch, tokens, heads * size) to (batch, heads, tokens, size)."""
    return projected.unflatten(-1, (-1, size)).transpose(1, 2)


def _turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions (https://arxiv.org/abs/2104.09864); cos and sin (batch, tokens, size)."""
    low, high = x.chunk(2, dim=-1)
    return x * cos[:, None] + torch.cat([-high, low], dim=-1) * sin[:, None]


def _by_section(turns: Tensor, config: Any) -> Tensor:
    """Older transformers keep the three axes of M-RoPE apart, (3, batch, tokens, size), up to this place."""
    if turns.ndim == 3:
        return turns
    sections = turns.split(config.rope_parameters["mrope_section"] * 2, dim=-1)
    return torch.cat([section[place % 3] for place, section in enumerate(sections)], dim=-1)
