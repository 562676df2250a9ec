import pytest
from hypothesis import given
from hypothesis import strategies as st

from experts.qwen2vl.inputs.label_trie import LabelTrie

END = 99


def test_shared_heads_are_stored_once() -> None:
    #      1 - 2 - END        (nodes 0, 1, 2)
    #        \ 3 - END        (nodes 3, 4)
    trie = LabelTrie.build([[1, 2, END], [1, 3, END]])
    assert trie.tokens == (1, 2, END, 3, END)
    assert trie.parents == (-1, 0, 1, 0, 3)
    assert trie.paths == ((0, 1, 2), (0, 3, 4))
    assert trie.inner == (0, 1, 3)
    assert trie.read_indices == {-1: 0, 0: 1, 1: 2, 3: 3}
    assert trie.depths == (1, 2, 3, 2, 3)
    assert trie.ancestors(4) == (4, 3, 0)


def test_a_label_that_begins_another_ends_with_its_own_end_token() -> None:
    trie = LabelTrie.build([[1, END], [1, 1, END]])
    assert trie.paths == ((0, 1), (0, 2, 3))


@pytest.mark.parametrize("sequences", [[[1], [1, 2]], [[1, 2], [1, 2]], [[], [1]]])
def test_sequences_that_cannot_be_told_apart_are_refused(sequences: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="non-empty, distinct, and no prefix of one another"):
        LabelTrie.build(sequences)


@given(st.sets(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40))
def test_every_path_spells_its_sequence(sequences: set[tuple[int, ...]]) -> None:
    labels = [[*sequence, END] for sequence in sorted(sequences)]
    trie = LabelTrie.build(labels)
    assert [[trie.tokens[node] for node in path] for path in trie.paths] == labels
    assert all(parent < node for node, parent in enumerate(trie.parents))
    assert len(trie.tokens) <= sum(map(len, labels))
