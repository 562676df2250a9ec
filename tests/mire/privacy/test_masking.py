"""Made-up texts of both kinds: what identifies somebody is masked, and what shoppers ask about is not."""

import json
import re
import time
from pathlib import Path

import pytest

from mire.privacy.masking import hider, mask

TEXTS = json.loads(Path(__file__).with_name("texts.json").read_text(encoding="utf-8"))
PRIVATE: dict[str, list[str]] = TEXTS["private"]
PLAIN: list[str] = TEXTS["plain"]


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in PRIVATE.items() for text in texts])
def test_what_identifies_somebody_is_masked_under_its_name(name: str, text: str) -> None:
    assert f"[{name}]" in mask(text), mask(text)
    assert not re.search(r"\d{5}|@|单元|\d室", mask(text)), mask(text)


@pytest.mark.parametrize("text", PLAIN)
def test_what_shoppers_ask_about_stays(text: str) -> None:
    assert mask(text) == text


def test_both_sides_are_long_enough() -> None:
    assert sum(map(len, PRIVATE.values())) >= 60 and len(set(PLAIN)) >= 60


def test_the_words_around_stay() -> None:
    assert mask("单号是SF1234567890123，电话13812345678，急") == "单号是[number]，电话[phone]，急"
    assert mask("手机号：8765-4321 在吗") == "手机号：[phone] 在吗"
    assert mask("a@example.com和13812345678") == "[email]和[phone]"


def test_masked_text_stays_as_it_is() -> None:
    for texts in PRIVATE.values():
        for text in texts:
            assert mask(mask(text)) == mask(text)


def test_everything_is_shown_where_that_was_asked_for() -> None:
    assert hider(show_private=True)("13812345678") == "13812345678"
    assert hider(show_private=False)("13812345678") == "[phone]"


@pytest.mark.parametrize(
    "text", ["1", "市", "路", "一", "a", "栋1", "文三路", "1-", "杭州市西湖区", "订单号", "a.", "三单元"]
)
def test_no_text_takes_long(text: str) -> None:
    started = time.process_time()
    mask(text * (20_000 // len(text)))
    assert time.process_time() - started < 2
