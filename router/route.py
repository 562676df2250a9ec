"""Pick the task of a prompt from its instruction; no model is called.

python -m router.route --data train.json [--panel runs/p]
python -m router.route --prompt "判断用户的意图: ..."
"""

import argparse
import json
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from types import MappingProxyType

from mire.cli import run
from mire.labels import TASKS, Task, Taxonomy, builtin_taxonomy
from mire.prompts import OFFICIAL_DIALOGUE_HEAD, OFFICIAL_IMAGE_HEAD, Prompt, parse_prompt
from router.wording import wording

THRESHOLD = 0.8
"""Below this confidence the structure decides instead of the wording; chosen by ``python -m router.calibrate``."""
DIALOGUE_LOG_ODDS = 3.0
"""Added to the wording's log odds if the prompt quotes a two-sided dialogue: odds of 20 to 1 for "dialogue"."""
MIN_LABELS = 3
"""At least so many label names (or all, of two) count as a label list; one or two occur in ordinary sentences."""

Taxonomies = Mapping[Task, Taxonomy]
BUILTIN: Taxonomies = MappingProxyType({task: builtin_taxonomy(task) for task in TASKS})
"""The challenge's labels, for tasks without labels of one's own."""


@dataclass(frozen=True)
class Route:
    """A task, the router's confidence in it (0 to 1), and the reason in a few words."""

    task: Task
    confidence: float
    reason: str

    def __post_init__(self) -> None:
        if not 0.0 <= self.confidence <= 1.0:
            raise ValueError(f"confidence must be between 0 and 1, got {self.confidence}")

    @property
    def is_fallback(self) -> bool:
        """Whether neither labels nor words of the instruction told the task."""
        return self.reason.startswith("fallback")


@lru_cache
def _measured() -> dict[str, float]:
    """The share of right routes for each kind of reason, by ``confidences.json``, which ``router.calibrate`` writes.

    By Laplace's rule of succession: few labelled prompts, or none that went wrong, are no proof.
    """
    counts = json.loads(resources.files("router").joinpath("confidences.json").read_text(encoding="utf-8"))
    return {kind: (count["right"] + 1) / (count["n"] + 2) for kind, count in counts.items()}


def _routed(task: Task, kind: str, before: str = "") -> Route:
    """A route for a reason of some kind, which ``before`` may make more precise."""
    return Route(task, _measured().get(kind, 0.5), before + kind)


_KNOWN = (
    (OFFICIAL_IMAGE_HEAD, _routed("image", "official image frame")),
    (OFFICIAL_DIALOGUE_HEAD, _routed("dialogue", "official dialogue frame")),
)


def route_text(text: str, taxonomies: Taxonomies = BUILTIN) -> Route:
    """Route a raw prompt; an official frame is recognised by its first words, without parsing."""
    return _known(text) or _unknown(parse_prompt(text), taxonomies)


def route(prompt: Prompt, taxonomies: Taxonomies = BUILTIN) -> Route:
    """Route a parsed prompt; nothing but the prompt is read, and every prompt gets a route.

    ``taxonomies`` are the labels that a label list is known by; the challenge's for a task that it lacks.
    """
    return _known(prompt.text) or _unknown(prompt, taxonomies)


def _known(text: str) -> Route | None:
    body = text.lstrip("\ufeff \t\r\n")
    for head, answer in _KNOWN:
        if body.startswith(head):
            return answer
    return None


def _unknown(prompt: Prompt, taxonomies: Taxonomies) -> Route:
    asked = _asked(prompt)
    return _by_labels(asked, taxonomies) or _by_wording(prompt, asked)


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


def _by_labels(asked: str, taxonomies: Taxonomies) -> Route | None:
    """Decide by the label list in the instruction, if it belongs to one task only."""
    text = squeeze(asked)
    named = {task: taxonomies.get(task, BUILTIN[task]) for task in TASKS}
    counts = {task: sum(name in text for name in _label_names(labels)) for task, labels in named.items()}
    first, second = sorted(TASKS, key=lambda task: counts[task], reverse=True)
    if counts[first] < min(MIN_LABELS, len(named[first].entries)) or counts[first] < 2 * counts[second]:
        return None
    return _routed(first, "labels in the instruction", f"{counts[first]} {first} ")


@lru_cache
def _label_names(labels: Taxonomy) -> frozenset[str]:
    """Label names, and their glosses of two or more words: "Care" or "Return" occur in ordinary sentences."""
    names = [entry.name for entry in labels.entries] + [e.gloss for e in labels.entries if " " in e.gloss]
    return frozenset(map(squeeze, names))


def squeeze(text: str) -> str:
    """The text without blanks and without upper case, as labels are looked for."""
    return "".join(text.split()).casefold()


def _by_wording(prompt: Prompt, asked: str) -> Route:
    """Decide by the instruction's words and the presence of a dialogue; below the threshold, by structure."""
    quotes_dialogue = prompt.marked or _two_sided(prompt)
    log_odds = _log_odds(asked) + DIALOGUE_LOG_ODDS * quotes_dialogue
    p_dialogue = 1 / (1 + math.exp(-log_odds))
    task: Task = "dialogue" if p_dialogue >= 0.5 else "image"
    if max(p_dialogue, 1 - p_dialogue) < THRESHOLD:
        return _by_structure(prompt, task)
    return _routed(task, "the instruction's words and a dialogue" if quotes_dialogue else "the instruction's words")


def _log_odds(asked: str) -> float:
    """The classifier's log odds for "dialogue"; 0 for an instruction without words."""
    words = wording(asked)
    if not words:
        return 0.0
    # Imported here: scikit-learn takes a second, and known prompts, label lists and --help do without it.
    from router.classifier import log_odds

    return log_odds(words)


def _by_structure(prompt: Prompt, by_words: Task) -> Route:
    """The fallback: turns or several pictures mean dialogue, one picture alone means image.

    Without turns and pictures the more probable task by the words is chosen.
    """
    if prompt.turns:
        return _routed("dialogue", "fallback: there is a dialogue")
    if prompt.n_images > 1:
        return _routed("dialogue", "fallback: more pictures than an image prompt has")
    if prompt.n_images == 1:
        return _routed("image", "fallback: one picture and no dialogue")
    return _routed(by_words, "fallback: no picture, no dialogue, unsure words")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", type=Path, help="CSV or XLSX; or official JSON, JSONL, Parquet, ShareGPT")
    source.add_argument("--prompt", help="one prompt as text")
    parser.add_argument("--panel", type=Path, help="know label lists by this panel's own labels too")


def execute(options: argparse.Namespace) -> None:
    """Print one JSON line per sample: id, task, confidence, reason."""
    # Read here: --help needs neither.
    from mire.panel_folder import PanelFolder
    from mire.samples import read_samples

    taxonomies = BUILTIN if options.panel is None else PanelFolder(options.panel).taxonomies()
    if options.prompt is not None:
        _print(None, route_text(options.prompt, taxonomies))
        return
    for sample in read_samples(options.data):
        _print(sample.id, route(sample.prompt, taxonomies))


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
