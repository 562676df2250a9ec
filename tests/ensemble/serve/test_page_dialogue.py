"""What a person types into the dialogue tab is read whole."""

import asyncio
from types import SimpleNamespace

import pytest
from fakes import FakeVoter, image_panel

pytest.importorskip("gradio", reason="the extra 'serve' is not installed")

from ensemble.panel import Panel, TaskPanel
from ensemble.serve.limits import Limits
from ensemble.serve.page.handlers import Handlers, read_turns
from ensemble.serve.service import Service
from ensemble.voting.weights import VoterWeight, Weights
from mire.labels import builtin_taxonomy


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("用户: 您好\n客服: 亲\n用户: 这个会\n生锈吗", [("user", "您好"), ("agent", "亲"), ("user", "这个会\n生锈吗")]),
        ("用户: 这个会\n生锈吗", [("user", "这个会\n生锈吗")]),
        ("用户: 您好\n客服: 亲\n小王: 会生锈吗", [("user", "您好"), ("agent", "亲\n小王: 会生锈吗")]),
        ("小王: 在吗\n用户: 会生锈吗", [("user", "小王: 在吗"), ("user", "会生锈吗")]),
        ("这个会生锈吗", [("user", "这个会生锈吗")]),
        ("买家: 会生锈吗\n卖家: 不会\n亲", [("user", "会生锈吗"), ("agent", "不会\n亲")]),
        ("<用户与客服的对话 START>\n用户: a\n客服: b\n<用户与客服的对话 END>\n请", [("user", "a"), ("agent", "b")]),
        ("  \n", []),
    ],
)
def test_no_line_is_lost(text: str, expected: list[tuple[str, str]]) -> None:
    assert [(turn.speaker, turn.text) for turn in read_turns(text)] == expected


def dialogue_panel() -> Panel:
    taxonomy = builtin_taxonomy("dialogue")
    voter = FakeVoter("a", {"0": taxonomy.labels[0]}, taxonomy=taxonomy)
    task = TaskPanel(taxonomy, (voter,), Weights(voters={"a": VoterWeight()}))
    panel = image_panel(FakeVoter("b", {}))
    return Panel(panel.settings, {"dialogue": task}, panel.parameters)


def test_what_is_read_is_shown() -> None:
    service = Service(dialogue_panel(), Limits())
    request = SimpleNamespace(headers={}, client=None)
    shown = asyncio.run(Handlers(service).dialogue("用户: 这个会\n生锈吗\n老板: <b>亲</b>", None, request))  # type: ignore[arg-type]
    service.close()
    assert "mire-label" in shown
    assert "这个会\n生锈吗\n老板: &lt;b&gt;亲&lt;/b&gt;" in shown
