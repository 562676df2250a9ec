"""Which prompts share a packed row."""

from collections.abc import Iterable, Iterator

from experts.qwen2vl.prompt import EncodedPrompt


def fill_rows(prompts: Iterable[EncodedPrompt], budget: int, n_inner: int) -> Iterator[list[EncodedPrompt]]:
    """Cut prompts into rows of at most ``budget`` tokens (or one prompt), the trie's nodes counted.

    Within a row they are sorted, so that attention takes those of one length, and pictures of one size, together.
    """
    row: list[EncodedPrompt] = []
    n_tokens = 0
    for prompt in prompts:
        width = len(prompt) + n_inner
        if row and n_tokens + width > budget:
            yield sorted(row, key=_shape)
            row, n_tokens = [], 0
        row.append(prompt)
        n_tokens += width
    if row:
        yield sorted(row, key=_shape)


def _shape(prompt: EncodedPrompt) -> tuple[int, list[tuple[int, int]]]:
    return len(prompt), [(picture.rows, picture.columns) for picture in prompt.pictures]
