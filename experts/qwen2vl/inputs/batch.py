"""A batch of prompts with the label trie behind each, padded or packed: tensors, M-RoPE positions, who sees whom."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from experts.qwen2vl.inputs.label_trie import LabelTrie
from experts.qwen2vl.inputs.packed_rows import PackedLayout
from experts.qwen2vl.inputs.pictures import MEAN, STD
from experts.qwen2vl.inputs.prompt import EncodedPrompt


@dataclass(frozen=True)
class Batch:
    """B rows of S tokens. Padded: padding, prompt, the trie's inner nodes; all rows end together. Packed: one row.

    ``ids`` (B, S); ``positions`` (3, B, S), temporal, row and column; ``mask`` (B, 1, S, S), True where a
    query may look, or the packed row's documents. Of every prompt ``n_read_positions`` positions are read: its last
    token, then the inner nodes; in a padded row they are the last ones. ``mm_token_type_ids`` (B, S) is 1 where a
    picture's token stands, else 0. ``pixels`` (patches, 3 * 14 * 14) uint8 and ``grids`` (pictures, 3), or None without
    pictures.
    """

    ids: Tensor
    positions: Tensor
    mask: Tensor | PackedLayout
    n_read_positions: int
    mm_token_type_ids: Tensor
    pixels: Tensor | None
    grids: Tensor | None

    def to(self, device: torch.device, non_blocking: bool = True) -> "Batch":
        """The same batch on another device."""
        return self._with(lambda part: part.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> "Batch":
        """The same batch in memory that a GPU copies from without waiting."""
        return self._with(lambda part: part.pin_memory())

    def _with(self, change: Callable[[Any], Any]) -> "Batch":
        """The same batch, every tensor of it changed."""
        parts = {name: part for name, part in vars(self).items() if isinstance(part, Tensor | PackedLayout)}
        changed: dict[str, Any] = {name: change(part) for name, part in parts.items()}
        return replace(self, **changed)


def collate(prompts: Sequence[EncodedPrompt], trie: LabelTrie, *, image_pad: int, pad: int, multiple: int = 1) -> Batch:
    """Put prompts and the trie's inner nodes into one batch, padded on the left to a ``multiple``."""
    n_inner = len(trie.inner)
    width = max(map(len, prompts)) + n_inner
    width += -width % multiple
    shape = (len(prompts), width)
    ids = np.full(shape, pad, dtype=np.int64)
    positions = np.zeros((3, *shape), dtype=np.int64)
    # A padding token sees itself: a row that sees nothing has no softmax.
    mask = np.broadcast_to(np.eye(width, dtype=bool), (shape[0], width, width)).copy()
    nodes = [trie.tokens[node] for node in trie.inner]
    depths = np.array([trie.depths[node] for node in trie.inner], dtype=np.int64)
    tree = _tree_mask(trie)
    for row, prompt in enumerate(prompts):
        text = slice(width - n_inner - len(prompt), width - n_inner)
        ids[row, text] = prompt.ids
        ids[row, text.stop :] = nodes
        places = mrope_positions(prompt, image_pad)
        positions[:, row, text] = places
        positions[:, row, text.stop :] = places[:, -1:] + depths
        mask[row, text, text] = np.tri(len(prompt), dtype=bool)
        mask[row, text.stop :, text] = True
        mask[row, text.stop :, text.stop :] = tree
    return Batch(
        ids=torch.from_numpy(ids),
        positions=torch.from_numpy(positions),
        mask=torch.from_numpy(mask)[:, None],
        n_read_positions=n_inner + 1,
        mm_token_type_ids=torch.from_numpy((ids == image_pad).astype(np.int32)),
        **_pictures(prompts),
    )


def pack(prompts: Sequence[EncodedPrompt], trie: LabelTrie, *, image_pad: int, pad: int, multiple: int = 1) -> Batch:
    """Put prompts, each with the trie's inner nodes behind it, into one row; padding ends it at a ``multiple``."""
    nodes = [trie.tokens[node] for node in trie.inner]
    depths = np.array([trie.depths[node] for node in trie.inner], dtype=np.int64)
    n_tokens = sum(map(len, prompts)) + len(prompts) * len(nodes)
    n_padding = -n_tokens % multiple
    ids = np.array([token for prompt in prompts for token in (*prompt.ids, *nodes)] + [pad] * n_padding)
    places = [mrope_positions(prompt, image_pad) for prompt in prompts]
    positions = [part for own in places for part in (own, own[:, -1:] + depths)]
    return Batch(
        ids=torch.from_numpy(ids)[None],
        positions=torch.from_numpy(np.concatenate([*positions, np.zeros((3, n_padding), np.int64)], axis=1))[:, None],
        mask=PackedLayout.of([len(prompt) for prompt in prompts], torch.from_numpy(_tree_mask(trie)), n_padding),
        n_read_positions=len(nodes) + 1,
        mm_token_type_ids=torch.from_numpy((ids == image_pad).astype(np.int32))[None],
        **_pictures(prompts),
    )


def _pictures(prompts: Sequence[EncodedPrompt]) -> dict[str, Tensor | None]:
    """All pictures' patches in order, and their shapes."""
    pictures = [picture for prompt in prompts for picture in prompt.pictures]
    if not pictures:
        return {"pixels": None, "grids": None}
    return {
        "pixels": torch.from_numpy(np.concatenate([picture.pixels for picture in pictures])),
        "grids": torch.tensor([[1, picture.rows, picture.columns] for picture in pictures]),
    }


def mrope_positions(prompt: EncodedPrompt, image_pad: int) -> np.ndarray:
    """Qwen2-VL's rotary positions of a prompt; shape (3, tokens).

    Text counts up on all three axes; a picture that starts at p takes (p, p + row, p + column) and the
    text behind it goes on at p + max(rows, columns). https://arxiv.org/abs/2409.12191, section 2.1.
    """
    ids = np.array(prompt.ids)
    runs = [0, *(np.flatnonzero(np.diff(ids == image_pad)) + 1).tolist(), len(ids)]
    pictures = iter(prompt.pictures)
    parts = []
    position = 0
    for start, end in pairwise(runs):
        if ids[start] != image_pad:
            parts.append(np.broadcast_to(np.arange(position, position + end - start), (3, end - start)))
            position += end - start
            continue
        rows, columns = next(pictures).cells
        row, column = np.divmod(np.arange(rows * columns), columns)
        parts.append(position + np.stack([np.zeros_like(row), row, column]))
        position += max(rows, columns)
    return np.concatenate(parts, axis=1)


def normalise(pixels: Tensor, dtype: torch.dtype, *, n_frames: int = 1) -> Tensor:
    """uint8 patches (n, 3 * 14 * 14) to the vision tower's input (n, 3 * n_frames * 14 * 14).

    Qwen2-VL's own processor gives two frames, the second like the first; our patch embedding needs one.
    """
    mean = torch.tensor(MEAN * 255, device=pixels.device).view(1, 3, 1)
    std = torch.tensor(STD * 255, device=pixels.device).view(1, 3, 1)
    channels = pixels.view(len(pixels), 3, -1).float().sub_(mean).div_(std)
    return channels[:, :, None].expand(-1, -1, n_frames, -1).reshape(len(pixels), -1).to(dtype)


def _tree_mask(trie: LabelTrie) -> np.ndarray:
    """Which inner nodes each inner node sees: itself and its ancestors."""
    column = {node: index for index, node in enumerate(trie.inner)}
    mask = np.zeros((len(trie.inner), len(trie.inner)), dtype=bool)
    for node, row in column.items():
        mask[row, [column[above] for above in trie.ancestors(node)]] = True
    return mask
