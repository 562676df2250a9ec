"""Several prompts with their tries in one row without padding, and an attention that keeps them apart."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention


@dataclass(frozen=True)
class PackedLayout:
    """Where the prompts of a packed row stand, and what each of its tokens sees.

    A document is a prompt and the trie's inner nodes behind it. ``runs`` lists (documents, tokens of each
    one's prompt) for neighbours of equal length; ``n_padding`` tokens that nobody reads end the row.
    ``sees`` (n_read_positions, n_inner) says which nodes are seen from each place that is read: the prompt's last
    token, then the nodes. ``places`` are those places of all documents in order, counted in the row.
    """

    runs: tuple[tuple[int, int], ...]
    sees: Tensor
    places: Tensor
    n_padding: int = 0

    @classmethod
    def of(cls, lengths: Sequence[int], tree: Tensor, n_padding: int = 0) -> "PackedLayout":
        """The layout of prompts of these lengths; ``tree`` (n_inner, n_inner) is what each node sees."""
        n_inner = len(tree)
        ends = torch.tensor(lengths).add(n_inner).cumsum(0)
        return cls(
            runs=tuple((len(list(run)), length) for length, run in groupby(lengths)),
            sees=torch.cat([tree.new_zeros(1, n_inner), tree]),
            places=(ends[:, None] + torch.arange(-1 - n_inner, 0)).flatten(),
            n_padding=n_padding,
        )

    def to(self, device: torch.device, non_blocking: bool = True) -> "PackedLayout":
        """The same on another device."""
        moved = {name: getattr(self, name).to(device, non_blocking=non_blocking) for name in ("sees", "places")}
        return replace(self, **moved)

    def pin_memory(self) -> "PackedLayout":
        """The same in memory that a GPU copies from without waiting."""
        return replace(self, sees=self.sees.pin_memory(), places=self.places.pin_memory())

    # Its loop is as long as the row has runs: compiled, every batch would be a graph of its own.
    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def attend(self, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """Attention of a row, (1, heads, tokens, size) to (1, tokens, heads, size); no document sees another.

        ``query`` holds every token of the row, or only those at ``places``; so does what is given back.
        """
        n_read_positions, n_inner = self.sees.shape
        whole = query.shape[2] == key.shape[2]
        parts = []
        start = first = 0
        for (n, length), mask in zip(self.runs, self._masks, strict=True):
            size = length + n_inner
            keys, values = unpack_run(key, start, n, size), unpack_run(value, start, n, size)
            reads = unpack_run(query, start, n, size) if whole else unpack_run(query, first, n, n_read_positions)
            rows = []
            if whole:
                before = slice(length - 1)
                rows = [_causal(reads[:, :, before], keys[:, :, before], values[:, :, before], scale)]
                reads = reads[:, :, length - 1 :]
            rows.append(_seeing(reads, keys, values, mask, scale))
            parts.append(torch.cat(rows, dim=2).transpose(1, 2).flatten(0, 1))
            start, first = start + n * size, first + n * n_read_positions
        if whole and self.n_padding:
            parts.append(parts[-1].new_zeros(self.n_padding, *parts[-1].shape[1:]))
        return torch.cat(parts)[None]

    @cached_property
    def _masks(self) -> list[Tensor]:
        """For each run what its read places see: the whole prompt, and of the trie what ``sees`` says."""
        prompts: Iterator[int] = (length for _, length in self.runs)
        return [torch.cat([self.sees.new_ones(len(self.sees), length), self.sees], dim=1) for length in prompts]


def unpack_run(row: Tensor, start: int, n: int, size: int) -> Tensor:
    """``n`` neighbours of ``size`` tokens as a batch: (1, heads, tokens, d) to (n, heads, size, d)."""
    return row[0, :, start : start + n * size].unflatten(1, (n, size)).transpose(0, 1)


def _causal(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    grouped = query.shape[1] != key.shape[1]
    return scaled_dot_product_attention(query, key, value, is_causal=True, scale=scale, enable_gqa=grouped)


def _seeing(query: Tensor, key: Tensor, value: Tensor, mask: Tensor, scale: float) -> Tensor:
    """Attention through a mask (queries, keys); heads that share a key stand side by side as further queries."""
    n, heads, n_queries, size = query.shape
    group = heads // key.shape[1]
    folded = query.reshape(n, key.shape[1], group * n_queries, size)
    found = scaled_dot_product_attention(folded, key, value, attn_mask=mask.repeat(group, 1), scale=scale)
    return found.reshape(n, heads, n_queries, size)
