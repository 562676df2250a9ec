"""The pages in Chinese: each of their texts has a translation, which fills in the same figures."""

import json
import re
from importlib import resources

import pytest

from ensemble.report.language import environment, texts
from mire.labels import TASKS, builtin_taxonomy


def english() -> set[str]:
    """Every text of the templates, and the conventions of the challenge's labels, which the audit shows."""
    found = {entry.convention for task in TASKS for entry in builtin_taxonomy(task).entries} - {""}
    for package in ("ensemble.report", "ensemble.evaluation"):
        pages = environment(package, "en")
        for name in pages.list_templates(extensions=["html"]):
            source = resources.files(package).joinpath(name).read_text(encoding="utf-8")
            messages = (message for _, _, message in pages.extract_translations(source))
            found |= {message if isinstance(message, str) else message[0] for message in messages}
    return found


def test_every_text_is_translated_and_no_other() -> None:
    assert english() == texts("zh").keys()


@pytest.mark.parametrize(("english", "chinese"), texts("zh").items())
def test_a_translation_is_chinese_and_has_the_same_places(english: str, chinese: str) -> None:
    assert sorted(re.findall(r"%\(\w+\)s", english)) == sorted(re.findall(r"%\(\w+\)s", chinese))
    assert re.search("[\u4e00-\u9fff]", chinese) or chinese in ("token",)
    assert "<code>" not in english or "<code>" in chinese


def test_a_text_without_a_translation_stays_english() -> None:
    made = environment("ensemble.report", "zh").from_string(
        "{{ _('Router') }}, {{ _('other') }} {% trans n=3, before=2 %}{{ n }} b{{ before }}{% endtrans %}"
    )
    assert made.render() == "路由, other 3 b2"
    assert json.dumps(texts("en")) == "{}"
