"""The label trie: the tokens of all labels as one tree that follows the prompt's last token."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class LabelTrie:
    """The token sequences of a closed label set, shared prefixes stored once.

    Node n holds ``tokens[n]`` and follows node ``parents[n]``; -1 stands for the prompt's last token.
    Parents come before their children. ``paths[k]`` lists the nodes of label k from its first token to the
    end-of-turn token, which every sequence ends with, so no label is a prefix of another.
    """

    tokens: tuple[int, ...]
    parents: tuple[int, ...]
    paths: tuple[tuple[int, ...], ...]

    @classmethod
    def build(cls, sequences: Sequence[Sequence[int]]) -> "LabelTrie":
        """The trie of token sequences.

        Raises:
            ValueError: a sequence is empty, occurs twice, or is a prefix of another.
        """
        tokens: list[int] = []
        parents: list[int] = []
        children: dict[tuple[int, int], int] = {}
        paths: list[tuple[int, ...]] = []
        for sequence in sequences:
            node, path = -1, []
            for token in sequence:
                if (node, token) not in children:
                    children[node, token] = len(tokens)
                    tokens.append(token)
                    parents.append(node)
                node = children[node, token]
                path.append(node)
            paths.append(tuple(path))
        inner = set(parents)
        if len({*paths}) < len(paths) or any(not path or path[-1] in inner for path in paths):
            raise ValueError("label token sequences must be non-empty, distinct, and no prefix of one another")
        return cls(tuple(tokens), tuple(parents), tuple(paths))

    @cached_property
    def inner(self) -> tuple[int, ...]:
        """The nodes that have children. Only they enter the model; a leaf's probability is read at its parent."""
        followed = set(self.parents)
        return tuple(node for node in range(len(self.tokens)) if node in followed)

    @cached_property
    def read_indices(self) -> dict[int, int]:
        """The index of each inner node among the positions that are read; -1, the prompt's last token, has index 0."""
        return {-1: 0} | {node: index for index, node in enumerate(self.inner, start=1)}

    @cached_property
    def depths(self) -> tuple[int, ...]:
        """Number of tokens from the prompt's last token to each node: 1 for a label's first token."""
        depths: list[int] = []
        for parent in self.parents:
            depths.append(1 if parent < 0 else depths[parent] + 1)
        return tuple(depths)

    def ancestors(self, node: int) -> tuple[int, ...]:
        """The node itself and all nodes above it, from the bottom up."""
        chain = []
        while node >= 0:
            chain.append(node)
            node = self.parents[node]
        return tuple(chain)
