"""The last decoder layer at the places that are read only: no other place's output goes anywhere.

Keys and values still come from every place; queries, output projection and MLP only from those whose logits are
read. It is exact. Of a 7B's 28 layers that is little; of nano's two it is a good part of the work.
"""

from typing import Any

from torch import Tensor
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.models.qwen2_vl.modeling_qwen2_vl import Qwen2VLDecoderLayer, rotate_half


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


def read_last_layer_in_part(model: Any) -> None:
    """Let a Qwen2-VL's last layer do what is read only, where a call names ``n_reads``; its weights stay."""
    model.model.language_model.layers[-1].__class__ = LastLayer
