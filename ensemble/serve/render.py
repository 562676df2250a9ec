"""A result as HTML for the page; every text is escaped."""

import base64
import io
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from ensemble.serve.answers import Answer
from mire.images import load_image

if TYPE_CHECKING:
    from jinja2 import Template

_PREVIEW_PIXELS = (900, 1400)


def render_answer(answer: Answer, words: dict[str, str], picture: Path | None = None) -> str:
    """Label, bars, route, price, and the text as boxes over the picture."""
    return _template().render(answer=answer, words=words, picture=_data_uri(picture) if picture else None, refusal=None)


def render_refusal(reason: str, words: dict[str, str]) -> str:
    """Why there is no answer."""
    return _template().render(words=words, refusal=reason)


def _data_uri(path: Path) -> str:
    picture = load_image(path)
    picture.thumbnail(_PREVIEW_PIXELS)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


@lru_cache
def _template() -> "Template":
    from jinja2 import Environment

    source = resources.files("ensemble.serve").joinpath("result.html").read_text(encoding="utf-8")
    return Environment(autoescape=True).from_string(source)
