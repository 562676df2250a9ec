"""The exact log-likelihood of every label in one forward pass."""

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from experts.qwen2vl.inputs.batch import Batch, normalise
from experts.qwen2vl.inputs.label_trie import LabelTrie
from experts.qwen2vl.inputs.packed_rows import PackedLayout


def label_log_likelihoods(model: Any, batch: Batch, trie: LabelTrie) -> Tensor:
    """log p(label's tokens and end of turn | prompt) for every prompt and label; shape (prompts, n_labels), float32.

    ``model`` is a Qwen2VLForConditionalGeneration, with or without a PEFT adapter around it. The chain
    rule is summed over each label's path through the trie; only the trie's positions produce logits.
    """
    logits = prompt_logits(model, batch).float()
    rows, tokens, paths = _tables(trie, str(logits.device))
    # One fused kernel; logsumexp writes as much, in four.
    return logits.log_softmax(dim=-1)[:, rows, tokens] @ paths.T


def prompt_logits(model: Any, batch: Batch) -> Tensor:
    """Logits at the places that the batch reads; shape (prompts, n_read_positions, vocabulary)."""
    # Not model.dtype: a DistributedDataParallel wrapper has none.
    dtype = next(model.parameters()).dtype
    packed = isinstance(batch.mask, PackedLayout)
    logits: Tensor = model(
        input_ids=batch.ids,
        attention_mask={"full_attention": batch.mask} if packed else _additive(batch.mask, dtype),
        position_ids=batch.positions,
        pixel_values=None if batch.pixels is None else normalise(batch.pixels, dtype),
        image_grid_thw=batch.grids,
        mm_token_type_ids=batch.mm_token_type_ids,
        n_read_positions=batch.n_read_positions,
        # A packed row's last layer gives back the places that are read, and no other.
        logits_to_keep=0 if packed else batch.n_read_positions,
        use_cache=False,
    ).logits
    return logits.view(-1, batch.n_read_positions, logits.shape[-1])


def _additive(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """A boolean mask as what is added to attention scores."""
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill_(~mask, torch.finfo(dtype).min)


@lru_cache(maxsize=16)
def _tables(trie: LabelTrie, device: str) -> tuple[Tensor, Tensor, Tensor]:
    """For every node the position that predicts it and its token; and which nodes lie on each label's path."""
    # Kept between calls, so they must not be inference tensors: training could not use them.
    with torch.inference_mode(False):
        rows = torch.tensor([trie.rows[parent] for parent in trie.parents], device=device)
        tokens = torch.tensor(trie.tokens, device=device)
        paths = torch.zeros(len(trie.paths), len(trie.tokens), device=device)
        for label, path in enumerate(trie.paths):
            paths[label, list(path)] = 1.0
    return rows, tokens, paths
