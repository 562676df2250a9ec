"""The exact log-likelihood of every label in one forward pass."""

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from experts.qwen2vl.families import FAMILIES
from experts.qwen2vl.inputs.batch import Batch, normalise
from experts.qwen2vl.inputs.label_trie import LabelTrie

SLICE_BYTES = 256 << 20


def label_log_likelihoods(model: Any, batch: Batch, trie: LabelTrie) -> Tensor:
    """log p(label's tokens and end of turn | prompt) for every prompt and label; shape (prompts, n_labels), float32.

    ``model`` is a base of one of the families, with or without a PEFT adapter around it. The chain rule is
    summed over each label's path through the trie; only the positions that are read produce logits.
    """
    if torch.is_inference_mode_enabled():
        return log_likelihoods_and_states(model, batch, trie)[0]
    return _log_probabilities(prompt_logits(model, batch), trie) @ _tables(trie, str(batch.ids.device))[2].T


def log_likelihoods_and_states(model: Any, batch: Batch, trie: LabelTrie) -> tuple[Tensor, Tensor]:
    """As ``label_log_likelihoods``; of the same pass the states that are read, (prompts, n_read_positions, width).

    A state is the last layer's after its norm: what the vocabulary's logits are made of. For prediction only: the
    base is called inside of what a wrapper or PEFT put around it, and no logits are kept.
    """
    base = getattr(model, "get_base_model", lambda: model)()
    states = _read(base.model(**_inputs(model, batch)).last_hidden_state, batch)
    read_indices, tokens, paths = _tables(trie, str(states.device))
    if hasattr(base.lm_head, "log_normalisers"):
        # The logits of the labels' few tokens, and one number per state for the whole vocabulary.
        logits = states.float() @ base.lm_head.weight[tokens].float().T
        normalisers = base.lm_head.log_normalisers(states.flatten(0, 1)).view(*states.shape[:2], 1)
        found = (logits - normalisers)[:, read_indices, torch.arange(len(tokens), device=states.device)]
    else:  # an adapter that was trained elsewhere may change the head too
        found = _log_probabilities(base.lm_head(states), trie)
    # A sum, no product: a CPU might round a product's factors (``bfloat16_factors``).
    return (found[:, None] * paths).sum(dim=-1), states


def _log_probabilities(logits: Tensor, trie: LabelTrie) -> Tensor:
    """Of every node's token, (prompts, nodes), from logits (prompts, n_read_positions, vocabulary)."""
    read_indices, tokens, _ = _tables(trie, str(logits.device))
    n = max(1, SLICE_BYTES // logits[:1].nbytes)
    # log_softmax is one fused kernel, and its gradient another. It copies all logits, hence the slices.
    return torch.cat([part.log_softmax(dim=-1)[:, read_indices, tokens] for part in logits.split(n)])


def prompt_logits(model: Any, batch: Batch) -> Tensor:
    """Logits at the positions that the batch reads; shape (prompts, n_read_positions, vocabulary), float32.

    Position 0 of a prompt is its last token; the others are the trie's inner nodes, in their order.
    """
    return _read(model(**_inputs(model, batch)).logits, batch)


def _inputs(model: Any, batch: Batch) -> dict[str, Any]:
    """What the model is called with."""
    # A DistributedDataParallel wrapper has neither a configuration nor a number format.
    family = FAMILIES[getattr(model, "module", model).config.model_type]
    dtype = next(model.parameters()).dtype
    return {
        "input_ids": batch.ids,
        "layout": batch.layout,
        "position_ids": batch.positions,
        "pixel_values": None if batch.pixels is None else normalise(batch.pixels, family, dtype),
        "image_grid_thw": batch.grids,
        "mm_token_type_ids": batch.mm_token_type_ids,
        "use_cache": False,
    }


def _read(row: Tensor, batch: Batch) -> Tensor:
    """What a packed row (1, read positions or S, size) holds where it is read: (prompts, n_read_positions, size)."""
    if row.shape[1] == batch.ids.shape[1]:  # a base whose last layer is left whole
        row = row[:, batch.layout.read_positions]
    return row.view(-1, batch.layout.n_read_positions, row.shape[-1])


@lru_cache(maxsize=16)
def _tables(trie: LabelTrie, device: str) -> tuple[Tensor, Tensor, Tensor]:
    """Index tables of a trie, on ``device``.

    For every node the index of the read position that predicts it (nodes,) and its token (nodes,); then a 0/1 matrix
    (labels, nodes) of the nodes on each label's path, float32.
    """
    # Cached between calls, so they must not be inference tensors: training could not use them.
    with torch.inference_mode(False):
        read_indices = torch.tensor([trie.read_indices[parent] for parent in trie.parents], device=device)
        tokens = torch.tensor(trie.tokens, device=device)
        paths = torch.zeros(len(trie.paths), len(trie.tokens), device=device)
        for label, path in enumerate(trie.paths):
            paths[label, list(path)] = 1.0
    return read_indices, tokens, paths
