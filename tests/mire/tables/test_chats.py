import pytest

from mire.prompts import Turn, parse_prompt
from mire.tables.chats import as_prompt, read_chat


def turns(text: str, n_pictures: int = 0) -> list[tuple[str, str]]:
    return [(turn.speaker, turn.text.strip()) for turn in parse_prompt(as_prompt(text, n_pictures)).turns]


@pytest.mark.parametrize(
    "text",
    [
        "张三: 发票什么时候开\n客服小美: 您好",
        "tb123：发票什么时候开\n某某旗舰店：您好",
        "张三 2024-05-01 12:00:03\n发票什么时候开\n客服小美 2024-05-01 12:00:10\n您好",
        "张三 12:00\n发票什么时候开\n李四 12:01\n您好",
        "[12:00] Anna: 发票什么时候开\n[12:01] Support team: 您好",
        "5/1/24, 12:03 - Anna: 发票什么时候开\n5/1/24, 12:04 - Shop: 您好",
        "2024-05-01 12:00:03 张三\n发票什么时候开\n2024-05-01 12:00:10 客服\n您好",
        "用户: 发票什么时候开 客服: 您好",
    ],
)
def test_exports_give_the_same_turns(text: str) -> None:
    assert turns(text) == [("user", "发票什么时候开"), ("agent", "您好")]


def test_other_lines_belong_to_the_turn_before_them() -> None:
    text = "用户: 改一下\n地址: 北京\n\n12:30 以后送\n客服: 见 https://a.org/b\n好的"
    assert read_chat(text) == [
        Turn("user", "改一下\n地址: 北京\n12:30 以后送"),
        Turn("agent", "见 https://a.org/b\n好的"),
    ]


@pytest.mark.parametrize(
    ("text", "sides"),
    [
        ("a: hi\nb: hello\na: ok", ["user", "agent", "user"]),
        ("张三: 在吗\n顾客: 在\n张三: 好", ["agent", "user", "agent"]),
        ("客服: 您好\n张三: 在吗\n张三: 在？", ["agent", "user", "user"]),
    ],
)
def test_names_that_are_no_role(text: str, sides: list[str]) -> None:
    assert [turn.speaker for turn in read_chat(text)] == sides


@pytest.mark.parametrize("text", ["发票什么时候开", "订单号: 123\n地址: 北京", "https://a.org: x", "见 12:30", ""])
def test_an_utterance_without_a_name_is_the_users(text: str) -> None:
    assert read_chat(text) == []
    assert turns(text) == [("user", text)]


def test_pictures_stand_where_the_export_says_or_before_the_users_first_words() -> None:
    assert turns("客服: 您好\n用户: 看[图片]这里", 1) == [("agent", "您好"), ("user", "看<image>这里")]
    assert turns("客服: 您好\n用户: 看这里", 2) == [("agent", "您好"), ("user", "<image><image>看这里")]
    assert turns("用户: 看<image>", 1) == [("user", "看<image>")]


def test_a_frame_stays_as_it_is() -> None:
    framed = as_prompt("用户: 您好")
    assert as_prompt(framed) == framed
