"""Which prompts share a packed row."""

import sys
from collections.abc import Iterable, Iterator

from experts.qwen2vl.inputs.prompt import EncodedPrompt


def pack_by_token_budget(
    prompts: Iterable[EncodedPrompt], token_budget: int, n_inner: int, max_prompts: int = sys.maxsize
) -> Iterator[list[EncodedPrompt]]:
    """Group prompts into rows of at most ``max_prompts`` prompts and ``token_budget`` tokens.

    The trie's ``n_inner`` nodes count once per prompt. A prompt that exceeds the budget gets a row of its own.
    Rows take the prompts in their order and sort them within, so that attention handles prompts of equal length, and
    pictures of equal size, in one call.
    """
    row: list[EncodedPrompt] = []
    n_tokens = 0
    for prompt in prompts:
        width = len(prompt) + n_inner
        if row and (n_tokens + width > token_budget or len(row) == max_prompts):
            yield sorted(row, key=_shape)
            row, n_tokens = [], 0
        row.append(prompt)
        n_tokens += width
    if row:
        yield sorted(row, key=_shape)


def _shape(prompt: EncodedPrompt) -> tuple[int, list[tuple[int, int]]]:
    return len(prompt), [(picture.rows, picture.columns) for picture in prompt.pictures]
