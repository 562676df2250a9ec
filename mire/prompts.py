"""The two prompt frames: split a prompt into the instruction and the dialogue that it quotes.

Only this module knows the layout of a prompt. What a shopper wrote stays inside ``turns``: if marks enclose the
dialogue, it never becomes part of the instruction, whatever it says.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Speaker = Literal["user", "agent"]

IMAGE_TAG = "<image>"
SPEAKER_NAMES: dict[Speaker, str] = {"user": "用户", "agent": "客服"}
"""How the official frame names the speakers."""
DIALOGUE_START = "<用户与客服的对话 START>"
DIALOGUE_END = "<用户与客服的对话 END>"

OFFICIAL_IMAGE_HEAD = f"Picture 1: {IMAGE_TAG}\n你是一个电商领域识图专家"
OFFICIAL_DIALOGUE_HEAD = f"你是一个电商客服专家，请根据用户与客服的多轮对话判断用户的意图分类标签。\n{DIALOGUE_START}\n"

# Reworded frames name the speakers differently, and mark the dialogue's start and end in other words or not at all.
_USERS = (
    "用户", "顾客", "买家", "买方", "消费者", "客户", "会员",
    "user", "customer", "buyer", "shopper", "client", "consumer", "human",
)  # fmt: skip
_AGENTS = (
    "客服", "人工客服", "智能客服", "在线客服", "机器人", "商家", "卖家", "卖方", "店家", "店主", "店小二",
    "agent", "assistant", "service", "seller", "support", "merchant", "shop", "store", "bot",
    "representative", "customer service", "customer support", "service agent", "support agent",
)  # fmt: skip
_SPEAKERS: dict[str, Speaker] = {**dict.fromkeys(_USERS, "user"), **dict.fromkeys(_AGENTS, "agent")}

# Case is ignored by ASCII rules only: by Unicode rules "\u017f", the long s, would match "s" and be in no table.
# A number or a bracket may follow (用户2, Customer A, 买家(tb*1)), nothing else: "用户意图:" asks for an answer
# and is not a speaker.
_FIRST = "".join(sorted({name[0] for name in _SPEAKERS}))
# The first letters are looked for before the names, and no bracket is given back: no name begins with one.
_NAME = rf"((?ai:(?=[{_FIRST}])(?:{'|'.join(_SPEAKERS)})))(?:[ ]?[A-Za-z0-9]{{1,2}}|[ ]?[(（][^()（）\n]{{1,20}}[)）])?"
_CALL = rf"[\[【*]{{0,2}}+{_NAME}(?:[\]】][ \t]*[:\uff1a]?|[*]{{0,2}}[ \t]*[:\uff1a][*]{{0,2}})[ \t]?"
_BULLET = r"(?:(?:[-•>]|\d{1,3}[.、)])[ \t]*)?"
_TIME = r"(?:[\[(]?(?:[\d年月日/-]{4,11}[ ])?\d{1,2}:\d{2}(?::\d{2})?[\])]?[ \t]*)?"
_SPEAKER_LINE = re.compile(rf"^[ \t\u3000]*{_BULLET}{_TIME}{_CALL}", re.MULTILINE)
_SPEAKER_INLINE = re.compile(rf"(?<![\w\"'“”]){_CALL}")
# The official frame names its speakers one way, so "商家:" inside an agent's message opens no turn there.
_OFFICIAL_LINE = re.compile(rf"^({'|'.join(SPEAKER_NAMES.values())}): ?", re.MULTILINE)

_AGENT_WORDS = (
    "客服", "旗舰店", "专卖店", "专营店", "官方店", "商家", "卖家", "店家", "店主", "机器人", "小二", "小蜜",
)  # fmt: skip
_USER_WORDS = ("用户", "顾客", "买家", "客户", "会员", "消费者")
"""Words that tell the side in a name that is more than a role: 客服小美, 某某旗舰店, 买家3."""


def _mark(edge: str) -> str:
    """Pattern of a mark with a word for "dialogue" and ``edge``: in brackets, or on a line of its own between rules."""
    talk = "(?:对话|会话|聊天|dialog|conversation|chat|transcript)"
    some = r"[^<>\[\]【】\n]{0,16}?"
    edge = f"(?<![A-Za-z]){edge}"
    words = f"(?:{some}{talk}{some}{edge}|{some}{edge}{some}{talk}){some}"
    return rf"<{words}>|\[{words}\]|【{words}】|^[-=#*~]{{2,}}+{words}$"


_START_MARK = re.compile(rf"{_mark('(?:START|BEGIN|开始)')}|<(?:dialogue|dialog|conversation|chat)>", re.I | re.M)
_END_MARK = re.compile(rf"{_mark('(?:END|结束)')}|</(?:dialogue|dialog|conversation|chat)>", re.I | re.M)
_REST_OF_LINE = re.compile(r"[ \t\r]*(?:\n|\Z)")


@dataclass(frozen=True)
class Turn:
    """One turn of a dialogue; ``<image>`` in ``text`` marks where a picture was sent."""

    speaker: Speaker
    text: str

    @property
    def n_images(self) -> int:
        return self.text.count(IMAGE_TAG)

    @property
    def line(self) -> str:
        """The turn as the official frame prints it, with its line break."""
        return f"{SPEAKER_NAMES[self.speaker]}: {self.text}\n"


@dataclass(frozen=True)
class Prompt:
    """A parsed prompt.

    ``text`` is the whole prompt as given; ``head`` and ``tail`` are the text before and after the dialogue,
    including its marks. Without a dialogue ``turns`` is empty and ``head`` is the whole prompt.
    """

    text: str
    head: str
    turns: tuple[Turn, ...] = ()
    tail: str = ""

    @property
    def instruction(self) -> str:
        """Everything outside the dialogue, without the marks around it."""
        return _START_MARK.sub("", self.head) + _END_MARK.sub("", self.tail) if self.turns else self.text

    @property
    def marked(self) -> bool:
        """Whether a mark ends the dialogue.

        Without one the end is guessed: further lines of the last turn count as ``tail``.
        """
        return bool(self.turns) and _END_MARK.match(self.tail) is not None

    @property
    def n_images(self) -> int:
        """Number of ``<image>`` tags, in the instruction and in the dialogue."""
        return self.text.count(IMAGE_TAG)


def framed_dialogue(turns: Sequence[Turn]) -> str:
    """A prompt in the official frame that holds a dialogue, one turn after another."""
    return f"{OFFICIAL_DIALOGUE_HEAD}{''.join(turn.line for turn in turns)}{DIALOGUE_END}"


def speaker_of(name: str) -> Speaker | None:
    """The side that a speaker's name tells, by a role or a word for one in it; None for a person's name."""
    plain = name.casefold()
    if plain in _SPEAKERS:
        return _SPEAKERS[plain]
    words = set(re.findall("[a-z]+", plain))
    if words & set(_AGENTS) or any(word in plain for word in _AGENT_WORDS):
        return "agent"
    return "user" if words & set(_USERS) or any(word in plain for word in _USER_WORDS) else None


def parse_prompt(text: str) -> Prompt:
    """Split any text into instruction and dialogue; never fails.

    The dialogue runs from the first start mark to the **last** end mark (a shopper may type an end mark inside
    it), or, in a prompt without marks, from the first to the last line that begins with a speaker's name.
    """
    start, end = _marked_span(text) or _spoken_span(text) or (0, 0)
    turns = _turns(text[start:end])
    return Prompt(text, text[:start], turns, text[end:]) if turns else Prompt(text, text)


def _marked_span(text: str) -> tuple[int, int] | None:
    """Start and end offsets of a dialogue between marks."""
    if text.startswith(OFFICIAL_DIALOGUE_HEAD):
        start, end = len(OFFICIAL_DIALOGUE_HEAD), text.rfind(DIALOGUE_END)
        if end >= start:
            return start, end
    opened = _after_start_mark(text)
    if opened is None:
        return None
    ends = [mark.start() for mark in _END_MARK.finditer(text, opened)]
    spoken = _SPEAKER_LINE.search(text, opened)
    # An instruction may mention both marks and contain no dialogue: that span would end before the first speaker.
    if not ends or (spoken and ends[-1] < spoken.start()):
        return None
    return opened, ends[-1]


def _after_start_mark(text: str) -> int | None:
    """Offset at which the dialogue begins: after its start mark and that line's break."""
    spoken = _SPEAKER_LINE.search(text) or _SPEAKER_INLINE.search(text)
    limit = spoken.start() if spoken else len(text)
    # A mark that a speaker's name precedes was typed by a speaker.
    marks = [mark.end() for mark in _START_MARK.finditer(text) if mark.start() <= limit]
    if not marks:
        return None
    for end in marks:
        if rest := _REST_OF_LINE.match(text, end):
            return rest.end()
        if _SPEAKER_INLINE.match(text, end):
            return end
    return marks[0]


def _spoken_span(text: str) -> tuple[int, int] | None:
    """Start and end offsets of a dialogue recognised by its speakers' names alone; one of them must be a user."""
    calls = _calls(text)
    if not any(_speaker(call) == "user" for call in calls):
        return None
    newline = text.find("\n", calls[-1].end())
    return calls[0].start(), len(text) if newline < 0 else newline


def _calls(dialogue: str) -> list[re.Match[str]]:
    """The speakers' names that open turns, by the strictest pattern that finds both sides."""
    by_line: list[re.Match[str]] = []
    for pattern in (_OFFICIAL_LINE, _SPEAKER_LINE, _SPEAKER_INLINE):
        calls = list(pattern.finditer(dialogue))
        if len({_speaker(call) for call in calls}) == 2:
            return calls
        by_line = calls if pattern is _SPEAKER_LINE else by_line
    return by_line


def _speaker(call: re.Match[str]) -> Speaker:
    return _SPEAKERS[call.group(1).lower()]


def _turns(dialogue: str) -> tuple[Turn, ...]:
    """The turns of a dialogue; a line without a speaker's name continues the turn before it.

    Words before the first speaker count as the user's, so that they are not taken for the instruction.
    """
    calls = _calls(dialogue)
    ends = [*(call.start() for call in calls), len(dialogue)]
    turns = [
        Turn(_speaker(call), dialogue[call.end() : end].strip("\r\n"))
        for call, end in zip(calls, ends[1:], strict=True)
    ]
    opening = dialogue[: ends[0]].strip()
    return (Turn("user", opening), *turns) if opening else tuple(turns)
