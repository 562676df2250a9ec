"""Split a dialogue into its last real question, what came before it, and the agent's answers."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mire.prompts import Turn

# Markup in the challenge's data without meaning: tags, highlight marks, emoticon codes, links, video records.
_NOISE = re.compile(r"</?dxm:highlight>|<[^<>]{0,20}>|/:[\w^$-]+|\{(?=[^{}]*\"url\")[^{}]*+\}|https?://\S+")
_BLANKS = re.compile(r"\s+")
_QUOTES = " \"'“”"

_ORDER_NOTE = re.compile(r"订单标识|交易完成于|件商品[,，]总金额")
"""An order card that the shop's system inserts into the chat as a turn of the user."""

_GREETING = re.compile(
    r"(?:您好|你好|亲爱的|亲|(?:你好|您好)?[,，]?还?在吗|人工|转人工|客服|人力|联系客服\w*|售后服务|好的?|嗯+|哦+|谢谢)?"
    r"[??。..,，!!~ ]*"
)


@dataclass(frozen=True)
class Parts:
    """The parts of a dialogue; every text is cleaned and may be empty.

    ``question`` is the user's last turn with content, ``answer`` the agent's reply to it;
    ``earlier`` and ``earlier_answers`` are the real questions before it and their answers.
    """

    question: str
    answer: str
    earlier: str
    earlier_answers: str

    @property
    def exchange(self) -> str:
        """Question and answer as one text, so that a word counts the same in either."""
        return f"{self.question} {self.answer}".strip()


def take_apart(turns: Sequence[Turn]) -> Parts:
    """Split a dialogue's turns into parts; greetings, order cards and lone pictures or links are not questions."""
    exchanges: list[tuple[str, list[str]]] = []
    answers: list[str] | None = None
    for turn in turns:
        text = clean(turn.text)
        if turn.speaker == "agent":
            if answers is not None and text:
                answers.append(text)
        elif is_question(text):
            answers = []
            exchanges.append((text, answers))
        else:
            answers = None
    if not exchanges:
        return Parts(_last_words(turns), "", "", "")
    *before, (question, last_answers) = exchanges
    return Parts(
        question=question,
        answer=_joined(last_answers),
        earlier=" ".join(text for text, _ in before),
        earlier_answers=_joined([answer for _, given in before for answer in given]),
    )


def clean(text: str) -> str:
    """Lower case, without tags, links and emoticon codes, runs of blanks collapsed."""
    return _BLANKS.sub(" ", _NOISE.sub(" ", text)).strip(_QUOTES).lower()


def is_question(text: str) -> bool:
    """Whether a user's cleaned turn has content of its own."""
    return not (_GREETING.fullmatch(text) or _ORDER_NOTE.search(text))


def _last_words(turns: Sequence[Turn]) -> str:
    """The user's last text of any kind, for a dialogue without a question."""
    words = [clean(turn.text) for turn in turns if turn.speaker == "user"]
    return next((text for text in reversed(words) if text), "")


def _joined(texts: Sequence[str]) -> str:
    """Texts in order without repetitions: agents repeat canned answers."""
    return " ".join(dict.fromkeys(text for text in texts if text))
