"""Several prompts with their label tries in one row without padding."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby

import torch
from torch import Tensor


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

    @cached_property
    def run_masks(self) -> list[Tensor]:
        """For each run what its read positions attend to, (n_read_positions, prompt + n_inner): all of the prompt."""
        return [
            torch.cat([self.node_mask.new_ones(self.n_read_positions, length), self.node_mask], dim=1)
            for _, length in self.run_lengths
        ]
