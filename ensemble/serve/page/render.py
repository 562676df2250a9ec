"""A result as HTML for the page; every text is escaped."""

import base64
import io
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ensemble.decisions.threshold_file import TaskThresholds
from ensemble.serve.answers import Answer
from ensemble.serve.page.words import WORDS, told
from mire.images import load_image
from mire.labels import Task
from mire.prompts import IMAGE_TAG, Turn

if TYPE_CHECKING:
    from jinja2 import Template

_PREVIEW_PIXELS = (900, 1400)
_BUBBLE_PIXELS = (240, 240)


def render_answer(
    answer: Answer, words: dict[str, str], turns: Sequence[Turn] = (), pictures: Sequence[Path] = ()
) -> str:
    """Label, bars, route, price; the text as boxes over the picture, or the dialogue with its pictures."""
    shown = _data_uri(pictures[0], _PREVIEW_PIXELS) if answer.text and pictures else None
    return _template("result.html").render(
        answer=answer,
        words=words,
        glosses=words is WORDS["en"],
        problems=[told(problem, words) for problem in answer.problems],
        reason=told(answer.route.reason, words),
        picture=shown,
        talk=_talk(turns, pictures),
        refusal=None,
    )


def render_decisions(tasks: Mapping[Task, TaskThresholds], words: dict[str, str]) -> str:
    """For each task what is answered at its threshold, and what goes to people."""
    return _template("decisions.html").render(tasks=tasks, words=words)


def render_refusal(reason: str, words: dict[str, str]) -> str:
    """Why there is no answer."""
    return _template("result.html").render(words=words, refusal=told(reason, words))


def render_progress(
    n_done: int, n_all: int, n_degraded: int, words: dict[str, str], reasons: Sequence[tuple[str, int]] = ()
) -> str:
    """How far a batch is; at its end the reasons of degraded answers, with the number of answers for each."""
    shown = [(told(reason, words), n) for reason, n in reasons]
    return _template("progress.html").render(
        n_done=n_done, n_all=n_all, n_degraded=n_degraded, words=words, reasons=shown
    )


def _talk(turns: Sequence[Turn], pictures: Sequence[Path]) -> list[dict[str, Any]]:
    """Each turn's text, and the pictures that its tags stand for; turns without either are left out."""
    left = iter(pictures)
    said = [
        {
            "speaker": turn.speaker,
            "text": turn.text.replace(IMAGE_TAG, "").strip(),
            "pictures": [_data_uri(path, _BUBBLE_PIXELS) for _, path in zip(range(turn.n_images), left, strict=False)],
        }
        for turn in turns
    ]
    return [turn for turn in said if turn["text"] or turn["pictures"]]


def _data_uri(path: Path, size: tuple[int, int]) -> str:
    picture = load_image(path)
    picture.thumbnail(size)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


@lru_cache
def _template(name: str) -> "Template":
    from jinja2 import Environment

    source = resources.files("ensemble.serve.page").joinpath(name).read_text(encoding="utf-8")
    return Environment(autoescape=True).from_string(source)
