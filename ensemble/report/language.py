"""The language of the pages: their templates are in English, and ``zh.json`` holds each text of theirs in Chinese."""

import json
from functools import lru_cache
from importlib import resources
from typing import Literal

from jinja2 import Environment, PackageLoader

Language = Literal["en", "zh"]


@lru_cache
def texts(language: Language) -> dict[str, str]:
    """Each English text in another language; empty for English."""
    if language == "en":
        return {}
    found = resources.files("ensemble.report").joinpath(f"{language}.json").read_text(encoding="utf-8")
    return dict(json.loads(found))


def environment(package: str, language: Language) -> Environment:
    """The templates in a package's folder; they escape every text, and a text without a translation stays English."""
    made = Environment(
        loader=PackageLoader(package, package_path=""),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    made.policies["ext.i18n.trimmed"] = True
    known = texts(language)
    made.install_gettext_callables(  # type: ignore[attr-defined]
        lambda text: known.get(text, text), lambda one, many, n: one if n == 1 else many, newstyle=True
    )
    made.globals["language"] = language
    return made
