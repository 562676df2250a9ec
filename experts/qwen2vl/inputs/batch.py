"""Prompts, each followed by the label trie, as one packed row of tensors with M-RoPE positions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from experts.qwen2vl.families import Family
from experts.qwen2vl.inputs.label_trie import LabelTrie
from experts.qwen2vl.inputs.packed_rows import PackedLayout
from experts.qwen2vl.inputs.prompt import EncodedPrompt


@dataclass(frozen=True)
class Batch:
    """One row of S tokens: each prompt followed by the label trie's inner nodes, then padding.

    - ``ids`` (1, S) int64: token ids.
    - ``positions`` (3, 1, S) int64: M-RoPE positions, one per axis (temporal, row, column).
    - ``layout``: which tokens belong together, and whose logits are read.
    - ``mm_token_type_ids`` (1, S) int32: 1 for a picture's token, else 0.
    - ``pixels`` (patches, 3 * patch * patch) uint8: the patches of all pictures, in the order of their tokens.
    - ``grids`` (pictures, 3) int64: frames (always 1), rows and columns of each picture, counted in patches.

    ``pixels`` and ``grids`` are None in a row without pictures.
    """

    ids: Tensor
    positions: Tensor
    layout: PackedLayout
    mm_token_type_ids: Tensor
    pixels: Tensor | None
    grids: Tensor | None

    def to(self, device: torch.device, non_blocking: bool = True) -> "Batch":
        """The same batch on another device."""
        return self._with(lambda part: part.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> "Batch":
        """The same batch in page-locked memory, from which a GPU copies asynchronously."""
        return self._with(lambda part: part.pin_memory())

    def _with(self, change: Callable[[Any], Any]) -> "Batch":
        """The same batch with ``change`` applied to each tensor and to the layout; it returns the same type."""
        return replace(self, **{name: change(part) for name, part in vars(self).items() if part is not None})


def pack(prompts: Sequence[EncodedPrompt], trie: LabelTrie, *, image_pad: int, pad: int, multiple: int = 1) -> Batch:
    """Put prompts into one row, each followed by the trie's inner nodes.

    ``image_pad`` and ``pad`` are token ids: of a picture's token, and of the padding that makes the row's length a
    multiple of ``multiple``.
    """
    nodes = [trie.tokens[node] for node in trie.inner]
    depths = np.array([trie.depths[node] for node in trie.inner], dtype=np.int64)
    n_tokens = sum(map(len, prompts)) + len(prompts) * len(nodes)
    n_padding = -n_tokens % multiple
    ids = np.array([token for prompt in prompts for token in (*prompt.ids, *nodes)] + [pad] * n_padding)
    of_prompts = [mrope_positions(prompt, image_pad) for prompt in prompts]
    positions = [part for own in of_prompts for part in (own, own[:, -1:] + depths)]
    return Batch(
        ids=torch.from_numpy(ids)[None],
        positions=torch.from_numpy(np.concatenate([*positions, np.zeros((3, n_padding), np.int64)], axis=1))[:, None],
        layout=PackedLayout.of([len(prompt) for prompt in prompts], torch.from_numpy(_tree_mask(trie)), n_padding),
        mm_token_type_ids=torch.from_numpy((ids == image_pad).astype(np.int32))[None],
        **_pictures(prompts),
    )


def _pictures(prompts: Sequence[EncodedPrompt]) -> dict[str, Tensor | None]:
    """``pixels`` and ``grids`` of a batch."""
    pictures = [picture for prompt in prompts for picture in prompt.pictures]
    if not pictures:
        return {"pixels": None, "grids": None}
    return {
        "pixels": torch.from_numpy(np.concatenate([picture.pixels for picture in pictures])),
        "grids": torch.tensor([[1, picture.rows, picture.columns] for picture in pictures]),
    }


def mrope_positions(prompt: EncodedPrompt, image_pad: int) -> NDArray[np.int64]:
    """Qwen2-VL's rotary positions of a prompt: shape (3, tokens), axes temporal, row and column.

    On text all three axes count up together. The token in row r and column c of a picture that starts at position p
    gets (p, p + r, p + c), and the text after the picture continues at p + max(rows, columns).
    https://arxiv.org/abs/2409.12191, section 2.1.
    """
    ids = np.array(prompt.ids)
    bounds = [0, *(np.flatnonzero(np.diff(ids == image_pad)) + 1).tolist(), len(ids)]
    pictures = iter(prompt.pictures)
    parts = []
    position = 0
    for start, end in pairwise(bounds):
        if ids[start] != image_pad:
            parts.append(np.broadcast_to(np.arange(position, position + end - start), (3, end - start)))
            position += end - start
            continue
        rows, columns = next(pictures).cells
        row, column = np.divmod(np.arange(rows * columns), columns)
        parts.append(position + np.stack([np.zeros_like(row), row, column]))
        position += max(rows, columns)
    return np.concatenate(parts, axis=1)


def normalise(pixels: Tensor, family: Family, dtype: torch.dtype, *, n_frames: int = 1) -> Tensor:
    """Patches (n, 3 * patch * patch) uint8 to the tower's input (n, 3 * n_frames * patch * patch) in ``dtype``.

    The families' own processor repeats a still picture as two frames; our patch embedding needs one.
    """
    mean = torch.tensor(family.mean, device=pixels.device).mul_(255).view(1, 3, 1)
    std = torch.tensor(family.std, device=pixels.device).mul_(255).view(1, 3, 1)
    channels = pixels.view(len(pixels), 3, -1).float().sub_(mean).div_(std)
    return channels[:, :, None].expand(-1, -1, n_frames, -1).reshape(len(pixels), -1).to(dtype)


def _tree_mask(trie: LabelTrie) -> NDArray[np.bool_]:
    """Which inner nodes each inner node attends to, itself and its ancestors: shape (inner, inner)."""
    index_of = {node: index for index, node in enumerate(trie.inner)}
    mask = np.zeros((len(trie.inner), len(trie.inner)), dtype=bool)
    for node, index in index_of.items():
        mask[index, [index_of[ancestor] for ancestor in trie.ancestors(node)]] = True
    return mask
