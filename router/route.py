"""Pick the task of a prompt from its instruction; no model is called.

python -m router.route --data train.json
python -m router.route --prompt "判断用户的意图: ..."
"""

import argparse
import json
import math
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from mire.cli import run
from mire.labels import TASKS, Task, builtin_taxonomy
from mire.prompts import OFFICIAL_DIALOGUE_HEAD, OFFICIAL_IMAGE_HEAD, Prompt, parse_prompt
from router.wording import wording

THRESHOLD = 0.8
"""Below this confidence the structure decides instead of the wording; chosen by ``python -m router.calibrate``."""
DIALOGUE_LOG_ODDS = 3.0
"""Added to the wording's log odds if the prompt quotes a two-sided dialogue: odds of 20 to 1 for "dialogue"."""
MIN_LABELS = 3
"""At least so many label names count as a label list; one or two occur in ordinary sentences."""
LIST_CONFIDENCE = 0.99
STRUCTURE_CONFIDENCE = 0.6


@dataclass(frozen=True)
class Route:
    """A task, the router's confidence in it (0 to 1), and the reason in a few words."""

    task: Task
    confidence: float
    reason: str

    def __post_init__(self) -> None:
        if not 0.0 <= self.confidence <= 1.0:
            raise ValueError(f"confidence must be between 0 and 1, got {self.confidence}")


_KNOWN = (
    (OFFICIAL_IMAGE_HEAD, Route("image", 1.0, "official image frame")),
    (OFFICIAL_DIALOGUE_HEAD, Route("dialogue", 1.0, "official dialogue frame")),
)


def route_text(text: str) -> Route:
    """Route a raw prompt; an official frame is recognised by its first words, without parsing."""
    return _known(text) or _unknown(parse_prompt(text))


def route(prompt: Prompt) -> Route:
    """Route a parsed prompt; nothing but the prompt is read, and every prompt gets a route."""
    return _known(prompt.text) or _unknown(prompt)


def _known(text: str) -> Route | None:
    body = text.lstrip("\ufeff \t\r\n")
    for head, answer in _KNOWN:
        if body.startswith(head):
            return answer
    return None


def _unknown(prompt: Prompt) -> Route:
    asked = _asked(prompt)
    return _by_labels(asked) or _by_wording(prompt, asked)


def _asked(prompt: Prompt) -> str:
    """The text that decides: those parts of the instruction that no shopper can have written.

    Without an end mark ``tail`` may hold a shopper's last lines: it is read only if ``head`` has no words and
    only one side speaks.
    """
    if not prompt.turns or prompt.marked:
        return prompt.instruction
    if wording(prompt.head):
        return prompt.head
    if _is_chat_frame(prompt):
        return prompt.turns[0].text
    return "" if _two_sided(prompt) else prompt.tail


def _is_chat_frame(prompt: Prompt) -> bool:
    """Whether the prompt itself is one chat turn (USER: ... ASSISTANT:), not a dialogue quoted in it."""
    first, *others = prompt.turns
    answered = any(turn.text.strip() or turn.speaker == "user" for turn in others)
    return first.speaker == "user" and not answered and not prompt.tail.strip()


def _two_sided(prompt: Prompt) -> bool:
    return len({turn.speaker for turn in prompt.turns if turn.text.strip()}) == 2


def _by_labels(asked: str) -> Route | None:
    """Decide by the label list in the instruction, if it belongs to one task only."""
    text = _squeeze(asked)
    counts = {task: sum(name in text for name in _label_names(task)) for task in TASKS}
    first, second = sorted(TASKS, key=lambda task: counts[task], reverse=True)
    if counts[first] < MIN_LABELS or counts[first] < 2 * counts[second]:
        return None
    return Route(first, LIST_CONFIDENCE, f"{counts[first]} {first} labels in the instruction")


@lru_cache
def _label_names(task: Task) -> frozenset[str]:
    """Label names, and their glosses of two or more words: "Care" or "Return" occur in ordinary sentences."""
    entries = builtin_taxonomy(task).entries
    names = [entry.name for entry in entries] + [entry.gloss for entry in entries if " " in entry.gloss]
    return frozenset(map(_squeeze, names))


def _squeeze(text: str) -> str:
    return "".join(text.split()).casefold()


def _by_wording(prompt: Prompt, asked: str) -> Route:
    """Decide by the instruction's words and the presence of a dialogue; below the threshold, by structure."""
    quotes_dialogue = prompt.marked or _two_sided(prompt)
    log_odds = _log_odds(asked) + DIALOGUE_LOG_ODDS * quotes_dialogue
    p_dialogue = 1 / (1 + math.exp(-log_odds))
    confidence = max(p_dialogue, 1 - p_dialogue)
    if confidence < THRESHOLD:
        return _by_structure(prompt, p_dialogue)
    reason = "the instruction's words and a dialogue" if quotes_dialogue else "the instruction's words"
    return Route("dialogue" if p_dialogue >= 0.5 else "image", confidence, reason)


def _log_odds(asked: str) -> float:
    """The classifier's log odds for "dialogue"; 0 for an instruction without words."""
    words = wording(asked)
    if not words:
        return 0.0
    # Imported here: scikit-learn takes a second, and known prompts, label lists and --help do without it.
    from router.classifier import log_odds

    return log_odds(words)


def _by_structure(prompt: Prompt, p_dialogue: float) -> Route:
    """The fallback: turns or several pictures mean dialogue, one picture alone means image.

    Without turns and pictures the more probable task by the words is chosen.
    """
    if prompt.turns:
        return Route("dialogue", STRUCTURE_CONFIDENCE, "fallback: there is a dialogue")
    if prompt.n_images > 1:
        return Route("dialogue", STRUCTURE_CONFIDENCE, "fallback: more pictures than an image prompt has")
    if prompt.n_images == 1:
        return Route("image", STRUCTURE_CONFIDENCE, "fallback: one picture and no dialogue")
    task: Task = "dialogue" if p_dialogue >= 0.5 else "image"
    return Route(task, max(p_dialogue, 1 - p_dialogue), "fallback: no picture, no dialogue, unsure words")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", type=Path, help="official JSON, JSONL or ShareGPT file")
    source.add_argument("--prompt", help="one prompt as text")


def execute(options: argparse.Namespace) -> None:
    """Print one JSON line per sample: id, task, confidence, reason."""
    if options.prompt is not None:
        _print(None, route_text(options.prompt))
        return
    # Read here: --help and --prompt need no sample reader.
    from mire.samples import read_samples

    for sample in read_samples(options.data):
        _print(sample.id, route(sample.prompt))


def _print(sample_id: str | None, answer: Route) -> None:
    """Print one line of ASCII, which every terminal encoding can show."""
    line = {
        "id": sample_id,
        "task": answer.task,
        "confidence": round(answer.confidence, 4),
        "reason": answer.reason,
    }
    print(json.dumps(line))


if __name__ == "__main__":
    raise SystemExit(run(sys.modules[__name__]))
