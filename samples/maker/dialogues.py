"""Made-up customer-service dialogues, one per call for each of the 23 intents.

The shipped sample set must teach a small model something without holding a single real customer's
words. So every sentence here comes from our own templates: `dialogue_intents.json` holds what a user
with an intent asks and what an agent may answer, `dialogue_frames.json` holds what surrounds a question
in a real chat (greetings, links, order cards, agents that cannot see pictures, questions about postage).
"train" and "test" draw from separate templates, so a test score measures more than memory.

The words live in the data files; this module only decides what is said in which order.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

USER = "用户"
AGENT = "客服"
IMAGE = "<image>"
LINK = "<http>"

SPLITS = ("train", "test")
MAX_EXCHANGES = 6  # an exchange is one turn of the user and one of the agent: 12 turns at most
MAX_TRIES = 400  # per dialogue; only a template list that has become far too short gets there

Exchange = tuple[str, str]

_SLOT = re.compile(r"\{([a-z]+)(\d?)\}")
_QUESTION_WORDS = re.compile(r"吗|怎|么|哪|多少|几|呢|啥|还是|是不是|对吧|不$|没$|行不|好不|能不|会不|有没")


@dataclass(frozen=True)
class Dialogue:
    """One labelled chat. `pictures` names what each "<image>" turn shows, in order: (kind, goods)."""

    label: str
    turns: tuple[tuple[str, str], ...]
    pictures: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class _Chat:
    """What stays the same during one dialogue: its intent, its goods, and where its words come from."""

    rng: random.Random
    split: str
    label: str
    goods: str
    shop: str
    scene: dict[str, Any]

    def intent(self, label: str | None = None) -> dict[str, Any]:
        """The words of an intent in this split; of the dialogue's own intent when none is named."""
        words: dict[str, Any] = _intents()[label or self.label][self.split]
        return words

    def frames(self, name: str) -> list[Any]:
        """The lines of this split that surround a question, such as "hellos" or "tails"."""
        lines: list[Any] = _frames()[self.split][name]
        return lines

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def fill(self, template: str, label: str | None = None) -> str:
        """The template with its {slots} filled; a slot and its numbered twin never get the same word."""
        slots = _intents()[label or self.label].get("slots", {})
        if label is None:
            slots = {**slots, **self.scene.get("slots", {})}
        used: dict[str, list[str]] = {}

        def word(match: re.Match[str]) -> str:
            name = match.group(1)
            if name in slots:
                options = [option for option in slots[name] if option not in used.get(name, [])]
                used.setdefault(name, []).append(self.rng.choice(options))
                return used[name][-1]
            return self._common(name)

        return _SLOT.sub(word, template)

    def _common(self, name: str) -> str:
        """The slots that any template may use. An unknown name is a typo in the data, and an error."""
        makers: dict[str, Callable[[], str]] = {
            "goods": lambda: self.goods,
            "shop": lambda: self.shop,
            "n": lambda: str(self.rng.randint(2, 9)),
            "m": lambda: str(self.rng.randint(2, 12)),
            "price": lambda: f"{self.rng.randint(9, 899)}.{self.rng.choice(('00', '50', '80', '90'))}",
            "date": lambda: _date(self.rng),
        }
        return makers[name]()


def make_dialogues(rng: random.Random, *, split: str, per_label: int) -> list[Dialogue]:
    """`per_label` different dialogues for every intent, shuffled; the same for the same state of `rng`."""
    if split not in SPLITS:
        raise ValueError(f"split must be one of {SPLITS}, not {split!r}")
    dialogues: list[Dialogue] = []
    for label in _intents():
        dialogues.extend(_distinct(rng, split, label, per_label))
    rng.shuffle(dialogues)
    return dialogues


def _distinct(rng: random.Random, split: str, label: str, count: int) -> list[Dialogue]:
    """`count` dialogues of one intent, no two in the same user's words: a double would leak between folds."""
    found: dict[tuple[str, ...], Dialogue] = {}
    for _ in range(count * MAX_TRIES):
        if len(found) == count:
            break
        dialogue = _make_one(rng, split, label)
        said = tuple(text for speaker, text in dialogue.turns if speaker == USER)
        found.setdefault(said, dialogue)
    if len(found) < count:
        raise ValueError(f"only {len(found)} different {split} dialogues for {label}, wanted {count}")
    return list(found.values())


def _make_one(rng: random.Random, split: str, label: str) -> Dialogue:
    chat = _start(rng, split, label)
    count = _picture_count(rng)
    turns: list[tuple[str, str]] = []
    for user, agent in _exchanges(chat, count):
        turns += [(USER, user), (AGENT, agent)]
    unanswered = len(turns) > 2 and not turns[-1][1]
    if unanswered and chat.chance(0.3):  # then the chat may end on the user's words
        turns.pop()
    kinds = _intents()[label]["pictures"]
    shown = rng.choices(list(kinds), weights=list(kinds.values()), k=count)
    return Dialogue(label, tuple(turns), tuple((kind, chat.goods) for kind in shown))


def _start(rng: random.Random, split: str, label: str) -> _Chat:
    """Choose the goods first: the scene (and with it the questions that make sense) follows from them."""
    scenes = _intents()[label][split]["scenes"]
    scene, goods = rng.choice([(scene, goods) for scene in scenes for goods in scene["goods"]])
    shop = rng.choice(_frames()[split]["shops"])
    return _Chat(rng, split, label, goods, shop, scene)


def _picture_count(rng: random.Random) -> int:
    return rng.choices((0, 1, 2, 3), weights=(10, 75, 11, 4))[0]


def _exchanges(chat: _Chat, pictures: int) -> list[Exchange]:
    """The whole chat: opening, preliminaries, the deciding question, and what comes after it."""
    late = sum(chat.chance(0.15) for _ in range(pictures))
    shown_early = [_picture(chat) for _ in range(pictures - late)]
    shown_late = [_picture(chat) for _ in range(late)]
    question = _question(chat)
    after = shown_late + _tail(chat)
    room = MAX_EXCHANGES - len(question) - len(shown_early) - len(after)
    if room < 0:
        after, room = shown_late, 0
    extras = (_opening(chat) + _preliminaries(chat))[:room]
    return _weave(chat.rng, extras, shown_early) + question + after


def _weave(rng: random.Random, spoken: list[Exchange], shown: list[Exchange]) -> list[Exchange]:
    """Pictures fall anywhere among the spoken exchanges, whose own order has a reason."""
    woven = list(spoken)
    for exchange in shown:
        woven.insert(rng.randint(0, len(woven)), exchange)
    return woven


def _opening(chat: _Chat) -> list[Exchange]:
    """How a chat begins: a link, a greeting, an order card, or all, or none of them."""
    opening: list[Exchange] = []
    if chat.chance(0.4):
        opening.append((LINK, _line(chat, "links")))
    if chat.chance(0.25):
        opening.append(_pair(chat, "hellos"))
    if chat.chance(0.2):
        opening.append(_pair(chat, "orders"))
    chat.rng.shuffle(opening)
    return opening


def _preliminaries(chat: _Chat) -> list[Exchange]:
    """What the user says before the real question, in any order: small talk and questions that pass."""
    said: list[Exchange] = []
    if chat.chance(0.2):
        said.append((_line(chat, "leads"), _line(chat, "chatter")))
    for _ in range(chat.rng.choices((0, 1, 2), weights=(60, 30, 10))[0]):
        said.append(_passing(chat) if chat.chance(0.3) else _pair(chat, "detours"))
    chat.rng.shuffle(said)
    return said


def _passing(chat: _Chat) -> Exchange:
    """A question of *another* intent, soon dropped: the label is what the user wants in the end."""
    other = chat.rng.choice(_may_pass(chat.label))
    asked = chat.fill(chat.rng.choice(chat.intent(other)["passing"]), other)
    answer = chat.fill(chat.rng.choice(chat.intent(other)["answers"]), other)
    return _colloquial(chat, asked), answer if chat.chance(0.3) else _line(chat, "chatter")


def _may_pass(label: str) -> list[str]:
    """The intents that can be touched in passing: those that suit any goods, and this one's neighbours."""
    neighbours = _intents()[label]["passes_to"]
    return [other for other in _frames()["any"]["passing"] + neighbours if other != label]


def _picture(chat: _Chat) -> Exchange:
    return IMAGE, _line(chat, "blind") if chat.chance(0.75) else _line(chat, "chatter")


def _question(chat: _Chat) -> list[Exchange]:
    """The deciding question: in one turn, in halves that need each other, or asked again in other words."""
    pool = chat.intent()["questions"] + chat.scene.get("questions", [])
    first, second = (chat.fill(template) for template in chat.rng.sample(pool, 2))
    if "，" in first and chat.chance(0.15):
        head, rest = first.split("，", 1)
        return [(head, ""), (_colloquial(chat, rest), _reply(chat))]
    if chat.chance(0.12):
        return [(_colloquial(chat, first), _reply(chat)), (_colloquial(chat, second), _reply(chat))]
    asked = _colloquial(chat, first)
    if chat.chance(0.12):
        asked = f"{_line(chat, 'leads')}，{asked}"
    return [(asked, _reply(chat))]


def _reply(chat: _Chat) -> str:
    """Agents answer the point, another point, no point, or not at all, as in real chats."""
    kind = chat.rng.choices(("answer", "astray", "chatter", "silence"), weights=(42, 8, 28, 22))[0]
    if kind == "answer":
        return chat.fill(chat.rng.choice(chat.intent()["answers"]))
    if kind == "astray":
        other = chat.rng.choice(_may_pass(chat.label))
        return chat.fill(chat.rng.choice(chat.intent(other)["answers"]), other)
    return _line(chat, "chatter") if kind == "chatter" else ""


def _tail(chat: _Chat) -> list[Exchange]:
    """What follows the deciding question. It must not change the intent, so no question of another."""
    if chat.chance(0.08):
        return [_pair(chat, "orders")]
    return [_pair(chat, "tails")] if chat.chance(0.3) else []


def _line(chat: _Chat, name: str) -> str:
    return chat.fill(chat.rng.choice(chat.frames(name)))


def _pair(chat: _Chat, name: str) -> Exchange:
    user, agent = chat.rng.choice(chat.frames(name))
    return chat.fill(user), chat.fill(agent)


def _colloquial(chat: _Chat, text: str) -> str:
    """The text as thumbs type it: a filler before, a mark or an emoji behind, now and then a typo."""
    any_frames = _frames()["any"]
    asks = bool(_QUESTION_WORDS.search(text))
    if chat.chance(0.04):
        text = _typo(chat.rng, text, any_frames["typos"])
    if chat.chance(0.25) and not text.startswith(("请问", "想")):
        text = chat.rng.choice(any_frames["fillers"]) + text
    if chat.chance(0.5):
        text += chat.rng.choice(any_frames["asks" if asks else "tells"])
    return text


def _typo(rng: random.Random, text: str, typos: dict[str, str]) -> str:
    candidates = [word for word in typos if word in text]
    if not candidates:
        return text
    word = rng.choice(candidates)
    return text.replace(word, typos[word], 1)


def _date(rng: random.Random) -> str:
    day = f"{rng.randint(2024, 2025)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"
    return f"{day} {rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}"


@cache
def _intents() -> dict[str, dict[str, Any]]:
    """Label -> pictures, slots, the labels it passes to, and the words per split."""
    words: dict[str, dict[str, Any]] = _read("dialogue_intents.json")
    return words


@cache
def _frames() -> dict[str, dict[str, Any]]:
    lines: dict[str, dict[str, Any]] = _read("dialogue_frames.json")
    return lines


def _read(name: str) -> Any:
    return json.loads(Path(__file__).with_name(name).read_text(encoding="utf-8"))
