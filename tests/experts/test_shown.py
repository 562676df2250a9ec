"""What a person sees of a sample: no number and no address of a customer, unless that was asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from records import dialogue_instruction

from experts.screen_text.voter import ScreenTextVoter
from experts.shown import shown
from mire.privacy.masking import mask
from mire.prompts import parse_prompt
from mire.samples import Sample

PHONE = "13812345678"


@dataclass(frozen=True)
class Line:
    text: str
    corners: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 0.1)


@pytest.fixture(autouse=True)
def read_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(paths: Sequence[Path]) -> Mapping[Path, Sequence[Line]]:
        return {path: (Line("退款"), Line(f"电话{PHONE}")) for path in paths if path.name != "broken.png"}

    monkeypatch.setattr(ScreenTextVoter, "read_lines", read)


def sample(*images: str) -> Sample:
    text = dialogue_instruction(f"用户: 我的号码{PHONE}会生锈吗", "客服: 不会的")
    return Sample("a", parse_prompt(text), images=tuple(map(Path, images)))


def test_texts_are_masked_and_boxes_are_filled() -> None:
    (seen,) = shown([sample("a.png", "broken.png")], ["screen_text"], mask)
    assert seen.turns == (("user", "我的号码[phone]会生锈吗"), ("agent", "不会的"))
    assert seen.read == ("退款", "电话[phone]")
    assert seen.hidden == (((0.0, 0.0, 1.0, 0.1),), None)


def test_without_a_reader_nobody_knows_what_to_fill() -> None:
    (seen,) = shown([sample("a.png")], ["dialogue_text"], mask)
    assert (seen.hidden, seen.read) == ((None,), ())


def test_everything_is_shown_where_that_was_asked_for() -> None:
    (seen,) = shown([sample("a.png")], ["dialogue_text"], str)
    assert seen.turns[0] == ("user", f"我的号码{PHONE}会生锈吗") and seen.hidden == ((),)
    assert seen.words([("1381", 0.5)]) == (("1381", 0.5),)


def test_words_that_only_private_text_holds_are_one_placeholder() -> None:
    (seen,) = shown([sample("a.png")], ["screen_text"], mask)
    words = [("生锈", 0.51239), ("exchange: 1381", 0.4), ("码13", 0.3), ("3456", 0.2), ("是否会生锈: 生锈, 锈迹", 0.1)]
    assert seen.words(words) == (("生锈", 0.512), ("[private]", 0.4), ("是否会生锈: 生锈, 锈迹", 0.1))
