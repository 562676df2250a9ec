"""A sentence encoder in torch: token ids of a text, a transformer, and one vector of its states."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class SentenceModel:
    """``token_ids`` gives a text's tokens, the special ones included; ``pooling`` is the settings'."""

    token_ids: Callable[[str], list[int]]
    transformer: Any
    pooling: str

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Shape (len(texts), dimension), rows of length 1; one text at a time, so that none depends on the others."""
        import torch

        with torch.inference_mode():
            return np.concatenate([self.vectors([text]).numpy() for text in texts])

    def vectors(self, texts: Sequence[str]) -> "Tensor":
        """Shape (len(texts), dimension), float32, rows of length 1, with gradients; padding changes the last bits."""
        import torch
        from torch.nn.utils.rnn import pad_sequence

        ids = [torch.tensor(self.token_ids(text)) for text in texts]
        # What stands in the padding is never attended to.
        padded = pad_sequence(ids, batch_first=True)
        mask = pad_sequence([torch.ones_like(each) for each in ids], batch_first=True)
        hidden = self.transformer(input_ids=padded, attention_mask=mask).last_hidden_state.float()
        pooled = hidden[:, 0] if self.pooling == "cls" else (hidden * mask[..., None]).sum(1) / mask.sum(1)[:, None]
        return torch.nn.functional.normalize(pooled, dim=-1)
