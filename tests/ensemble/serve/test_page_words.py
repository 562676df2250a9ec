"""The page in Chinese: refusals, reasons, and the language that a browser is given."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("gradio", reason="the extra 'serve' is not installed")

from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from fastapi.testclient import TestClient

from ensemble.serve.page.browser_language import BrowserLanguage
from ensemble.serve.page.words import WORDS, told, words_for
from router.route import _measured

ROOT = Path(__file__).parents[3]
SOURCES = (
    "ensemble/serve/limits.py", "ensemble/serve/questions.py", "ensemble/serve/service.py", "ensemble/serve/batcher.py",
    "ensemble/serve/page/handlers.py", "ensemble/serve/page/archive.py", "ensemble/classify.py", "mire/samples.py",
    "mire/records.py", "mire/images/__init__.py",
)  # fmt: skip
"""Where what the page refuses is raised."""
INNER = (
    "neither PNG",
    "a JPEG of",
    "{} is Parquet",
    "{} cannot be read as Parquet",
    "a speaker must be",
    "too large",
    "--limit",
)
"""Never shown: another message stands for them, the page does not take such files, or only an operator sees them."""
REASONS = ("there is no picture", "the dialogue is empty", "no voter voted: the label is the first of the list",
           "dialogue_text abstained", "qwen2vl failed: ValueError: x", "2 <image> tags but 1 pictures",
           "prompt of 900 tokens cut to 192 (limit 192)", "3 control characters in the text",
           "picture 'a.png' is missing", "12 image labels in the instruction")  # fmt: skip


def raised(path: Path) -> Iterator[str]:
    """The texts of the errors that a file raises, ``{}`` for each value in them."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id.endswith("Error")
            and node.args
        ):
            text = node.args[-1]
            parts = text.values if isinstance(text, ast.JoinedStr) else [text]
            if isinstance(text, ast.JoinedStr | ast.Constant):
                yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in parts)


def messages() -> list[str]:
    found = {text for source in SOURCES for text in raised(ROOT / source)}
    return sorted(text for text in found if " " in text and not text.startswith(INNER))


def test_messages_are_found() -> None:
    assert len(messages()) > 35


@pytest.mark.parametrize("message", [*messages(), *REASONS, *_measured()])
def test_every_refusal_and_reason_has_a_chinese_text(message: str) -> None:
    said = told(message.replace("{}", "7"), WORDS["zh"])
    assert re.search("[\u4e00-\u9fff]", said)
    assert not re.search("[a-z]{2,} [a-z]{2,} [a-z]{2,}", said), said
    assert told(message, WORDS["en"]) == message


def test_a_message_is_read_line_by_line_and_inside_out() -> None:
    text = (
        "a.json: 2 faults\n  record 1, id '7': ids must be unique\n  record 2: 'id' must be a non-empty string, got 3"
    )
    assert told(text, WORDS["zh"]).split("\n  ") == [
        "a.json：共 2 处错误",
        "第 1 条记录（编号 '7'）：ids must be unique",
        "第 2 条记录：'id' 必须是非空字符串，实际为 3",
    ]
    assert told("busy: 64 samples wait already, at most 64 may; try again", WORDS["zh"]) == (
        "服务器繁忙（已有 64 个样本在排队，最多 64 个），请稍后重试"
    )
    assert told("this panel has no image experts", WORDS["zh"]) == "此模型没有图片任务的子模型"


@pytest.mark.parametrize(
    ("languages", "expected"),
    [("zh-HK,en;q=0.9", "zh"), ("zh-Hans-CN", "zh"), ("zh-TW", "zh"), ("en-GB,zh;q=0.8", "en"), (None, "en")],
)
def test_any_chinese_is_chinese(languages: str | None, expected: str) -> None:
    assert words_for(languages) is WORDS[expected]


def test_both_languages_have_the_same_words() -> None:
    assert WORDS["en"].keys() == WORDS["zh"].keys()


def test_the_page_begins_with_the_script_that_names_chinese() -> None:
    app = FastAPI()
    app.add_middleware(BrowserLanguage)
    app.get("/")(lambda: HTMLResponse("<html><head><title>a</title></head></html>"))
    app.get("/healthz")(lambda: HTMLResponse("<head>"))
    with TestClient(app) as client:
        page = client.get("/")
        assert page.text.startswith("<html><head><script>if (/^zh/i.test(navigator.language)) ")
        assert page.text.endswith("</script><title>a</title></head></html>")
        assert int(page.headers["content-length"]) == len(page.content)
        assert client.get("/healthz").text == "<head>"
