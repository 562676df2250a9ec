"""Several prompts with their label tries in one row without padding, and an attention that keeps them apart."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention


# Not frozen: torch 2.11 compiles a graph for each number of runs in a frozen dataclass, and stops after eight.
@dataclass
class PackedLayout:
    """Which tokens of a packed row belong together, and which positions are read.

    A document is a prompt followed by the trie's inner nodes. Documents follow one another in the row, and no
    document attends to another.

    - ``run_lengths``: for each run of neighbouring documents of equal length (documents, tokens per prompt).
    - ``node_mask`` (n_read_positions, n_inner) bool: which nodes each position that is read attends to. These
      positions are the prompt's last token, then the nodes.
    - ``read_positions`` (documents * n_read_positions,) int64: their indices in the row, document by document.
    - ``n_padding``: tokens at the end of the row that attend to nothing and that nothing attends to.
    """

    run_lengths: tuple[tuple[int, int], ...]
    node_mask: Tensor
    read_positions: Tensor
    n_padding: int = 0

    @classmethod
    def of(cls, lengths: Sequence[int], tree: Tensor, n_padding: int = 0) -> "PackedLayout":
        """The layout of prompts of ``lengths`` tokens.

        ``tree`` (n_inner, n_inner) bool says which nodes each node attends to.
        """
        n_inner = len(tree)
        ends = torch.tensor(lengths).add(n_inner).cumsum(0)
        return cls(
            run_lengths=tuple((len(list(run)), length) for length, run in groupby(lengths)),
            node_mask=torch.cat([tree.new_zeros(1, n_inner), tree]),
            read_positions=(ends[:, None] + torch.arange(-1 - n_inner, 0)).flatten(),
            n_padding=n_padding,
        )

    @property
    def n_read_positions(self) -> int:
        """Positions that are read per document."""
        return len(self.node_mask)

    def to(self, device: torch.device, non_blocking: bool = True) -> "PackedLayout":
        """The same layout on another device."""
        return replace(
            self,
            node_mask=self.node_mask.to(device, non_blocking=non_blocking),
            read_positions=self.read_positions.to(device, non_blocking=non_blocking),
        )

    def pin_memory(self) -> "PackedLayout":
        """The same layout in page-locked memory, from which a GPU copies asynchronously."""
        return replace(self, node_mask=self.node_mask.pin_memory(), read_positions=self.read_positions.pin_memory())

    # The loop is as long as the row has runs: compiled, every batch would need its own graph.
    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def attend(self, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """Attention within each document of a row of S tokens.

        ``query`` (1, heads, n, size) holds all S tokens, or only those at ``read_positions``; ``key`` and ``value``
        are (1, key heads, S, size). The result is (1, n, heads, size), zero for padding.
        """
        n_read, n_inner = self.node_mask.shape
        whole = query.shape[2] == key.shape[2]
        parts = []
        start = first = 0
        for (n, length), mask in zip(self.run_lengths, self._run_masks, strict=True):
            size = length + n_inner
            keys, values = unpack_run(key, start, n, size), unpack_run(value, start, n, size)
            queries = unpack_run(query, start, n, size) if whole else unpack_run(query, first, n, n_read)
            rows = []
            if whole:
                before = slice(length - 1)
                rows = [_attend_causally(queries[:, :, before], keys[:, :, before], values[:, :, before], scale)]
                queries = queries[:, :, length - 1 :]
            rows.append(_attend_masked(queries, keys, values, mask, scale))
            parts.append(torch.cat(rows, dim=2).transpose(1, 2).flatten(0, 1))
            start, first = start + n * size, first + n * n_read
        if whole and self.n_padding:
            parts.append(parts[-1].new_zeros(self.n_padding, *parts[-1].shape[1:]))
        return torch.cat(parts)[None]

    @cached_property
    def _run_masks(self) -> list[Tensor]:
        """For each run what its read positions attend to, (n_read_positions, prompt + n_inner): all of the prompt."""
        return [
            torch.cat([self.node_mask.new_ones(self.n_read_positions, length), self.node_mask], dim=1)
            for _, length in self.run_lengths
        ]


def unpack_run(row: Tensor, start: int, n: int, size: int) -> Tensor:
    """``n`` neighbours of ``size`` tokens from ``start`` on, as a batch: (1, heads, S, d) to (n, heads, size, d)."""
    _, heads, _, width = row.shape
    return row[0, :, start : start + n * size].reshape(heads, n, size, width).transpose(0, 1)


def _attend_causally(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    """Causal attention; ``query`` (n, heads, tokens, size), ``key`` and ``value`` (n, key heads, tokens, size)."""
    grouped = query.shape[1] != key.shape[1]
    return scaled_dot_product_attention(query, key, value, is_causal=True, scale=scale, enable_gqa=grouped)


def _attend_masked(query: Tensor, key: Tensor, value: Tensor, mask: Tensor, scale: float) -> Tensor:
    """Attention through one boolean mask (queries, keys) for all documents.

    ``query`` is (n, heads, queries, size), ``key`` and ``value`` (n, key heads, keys, size). Heads that share a key
    are folded into further queries, so that no key is copied.
    """
    n, heads, n_queries, size = query.shape
    group = heads // key.shape[1]
    folded = query.reshape(n, key.shape[1], group * n_queries, size)
    found = scaled_dot_product_attention(folded, key, value, attn_mask=mask.repeat(group, 1), scale=scale)
    return found.reshape(n, heads, n_queries, size)
