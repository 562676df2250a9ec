"""Which prompts share a packed row."""

import sys
from collections.abc import Iterable, Iterator

from experts.qwen2vl.inputs.prompt import EncodedPrompt

Row = list[EncodedPrompt]


def pack_by_token_budget(
    prompts: Iterable[EncodedPrompt], budget: int, n_inner: int, most: int = sys.maxsize
) -> Iterator[Row]:
    """Cut prompts into rows of at most ``most``, and ``budget`` tokens (or one prompt), the trie's nodes counted.

    Within a row they are sorted, so that attention takes those of one length, and pictures of one size, together.
    """
    row: Row = []
    n_tokens = 0
    for prompt in prompts:
        width = len(prompt) + n_inner
        if row and (n_tokens + width > budget or len(row) == most):
            yield sorted(row, key=_shape)
            row, n_tokens = [], 0
        row.append(prompt)
        n_tokens += width
    if row:
        yield sorted(row, key=_shape)


def _shape(prompt: EncodedPrompt) -> tuple[int, list[tuple[int, int]]]:
    return len(prompt), [(picture.rows, picture.columns) for picture in prompt.pictures]
