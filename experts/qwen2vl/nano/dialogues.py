"""Synthetic dialogues in which the user's last question decides the intent: ``nano``'s pre-training on text."""

import json
import random
from collections.abc import Iterator
from importlib import resources

from mire.labels import Taxonomy
from mire.prompts import Prompt, Turn
from mire.samples import Sample

_BEFORE = ("", "", "请问", "亲,", "那", "我想问下", "老板", "你好", "这个", "这款", "它", "麻烦问一下", "买的这个")
_AFTER = ("吗", "吗?", "呢", "?", "", "啊", "呀", "的吗", "么", "了", "不", "怎么办", "怎么回事", "是吗")
_SMALL_TALK = (
    "您好", "在吗", "有人吗", "<http>", "谢谢", "好的", "嗯", "转人工", "多少钱", "包邮吗", "什么快递", "能便宜点吗",
    "几天到", "优惠券怎么用", "可以退吗", "帮我查下订单", "ok", "知道了", "<image>", "发票怎么开", "有货就拍",
)  # fmt: skip
_AGENT = (
    "", "您好,有什么可以帮您", "亲爱的,请稍等", "智能助手暂时无法识别图片,请用文字描述", "请问您想了解什么问题呢",
    "详情请看商品页面的说明哦", "好的亲", "回复人工为您转接", "店铺有优惠券可以领取", "感谢您的支持",
)  # fmt: skip


def synthetic_dialogues(taxonomy: Taxonomy, rng: random.Random) -> Iterator[Sample]:
    """Endless labelled dialogues of 2 to 10 turns; the user's last turn that is not small talk decides the label."""
    phrases = _phrases()
    labels = [label for label in taxonomy.labels if label in phrases]
    while labels:
        label = rng.choice(labels)
        turns = [turn for _ in range(rng.randrange(4)) for turn in _aside(labels, phrases, label, rng)]
        turns += [Turn("user", _question(phrases[label], rng)), Turn("agent", _answer(phrases, labels, rng))]
        if rng.random() < 0.25:
            turns += [Turn("user", rng.choice(_SMALL_TALK)), Turn("agent", rng.choice(_AGENT))]
        yield Sample(id="synthetic", prompt=Prompt("", "", tuple(turns)), label=label)


def _phrases() -> dict[str, list[str]]:
    """Phrases per intent: those of dialogue_text's lexicon that hold no pattern, and its synthetic turns."""
    folder = resources.files("experts.dialogue_text")
    lexicon, turns = (
        json.loads(folder.joinpath(name).read_text(encoding="utf-8"))["intents"]
        for name in ("lexicon.json", "turns.json")
    )
    phrases = {
        label: [phrase for phrase in entry["user"] if "#" not in phrase and "…" not in phrase]
        for label, entry in lexicon.items()
    }
    return {label: [*some, *turns.get(label, {"user": []})["user"]] for label, some in phrases.items()}


def _question(phrases: list[str], rng: random.Random) -> str:
    words = "".join(rng.choice(phrases) for _ in range(1 + (rng.random() < 0.2)))
    if rng.random() < 0.3:
        return words
    return f"{rng.choice(_BEFORE)}{_noise(rng)}{words}{_noise(rng)}{rng.choice(_AFTER)}"


def _aside(labels: list[str], phrases: dict[str, list[str]], label: str, rng: random.Random) -> list[Turn]:
    """An earlier exchange: small talk, or in 20 % of the cases another intent, which must not count."""
    said = rng.choice(_SMALL_TALK)
    if rng.random() < 0.2:
        said = _question(phrases[rng.choice([other for other in labels if other != label])], rng)
    return [Turn("user", said), Turn("agent", _answer(phrases, labels, rng))]


def _answer(phrases: dict[str, list[str]], labels: list[str], rng: random.Random) -> str:
    """An agent's turn; in 30 % of the cases it holds a random intent's phrase, so that agents' words tell nothing."""
    if rng.random() < 0.3:
        return f"{rng.choice(_AGENT)}{_noise(rng)}{rng.choice(phrases[rng.choice(labels)])}{_noise(rng)}"
    return rng.choice(_AGENT)


def _noise(rng: random.Random) -> str:
    """Up to four random common characters, in the place of a product's name."""
    return "".join(
        bytes((rng.randrange(0xB0, 0xD7), rng.randrange(0xA1, 0xFF))).decode("gb2312", errors="ignore")
        for _ in range(rng.randrange(5))
    )
