"""Texts of a request's length that are made to keep a regular expression busy for hours: each is read at once."""

import time
from collections.abc import Callable

import pytest

from ensemble.prediction.submission import guarded
from experts.dialogue_text.features import clean
from mire.privacy.masking import mask
from mire.prompts import parse_prompt
from mire.tables.chats import as_prompt
from router.wording import wording

N = 20_000
MAX_SECONDS = 0.5
"""Of this process; the slowest took hours before."""


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (wording, f"picture{' ' * N}x"),
        (wording, "图 1 : " * (N // 6)),
        (guarded, f"{'1' * N}x"),
        (guarded, f"{' ' * N}x"),
        (clean, "{" + '"url"' * (N // 5) + "x"),
        (as_prompt, f"1:11{'- ' * (N // 2)}"),
        (as_prompt, f"a 1-1{' ' * N}x"),
        (parse_prompt, "<对话 END" * (N // 7)),
        (parse_prompt, f"- {' ' * N}x"),
        (mask, "省市" * (N // 2)),
        (mask, f"{'1 ' * (N // 2)}@"),
    ],
)
def test_no_text_takes_long(read: Callable[[str], object], text: str) -> None:
    started = time.process_time()
    read(text)
    assert time.process_time() - started < MAX_SECONDS
