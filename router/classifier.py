"""A small text classifier for instructions in unknown wordings, trained on ``phrases.json`` when first used."""

import json
from functools import lru_cache
from importlib import resources

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

from mire.labels import TASKS, Task
from router.wording import wording


def phrases() -> tuple[tuple[str, ...], tuple[Task, ...]]:
    """The instruction wordings of ``phrases.json`` and the task of each, in the file's order."""
    source = resources.files("router").joinpath("phrases.json").read_text(encoding="utf-8")
    by_task: dict[Task, list[str]] = json.loads(source)
    pairs = [(wording(text), task) for task in TASKS for text in by_task[task]]
    return tuple(text for text, _ in pairs), tuple(task for _, task in pairs)


def untrained() -> Pipeline:
    """A logistic regression on character n-grams, which need no word segmentation in any language."""
    return make_pipeline(
        TfidfVectorizer(analyzer="char", ngram_range=(1, 3), sublinear_tf=True),
        LogisticRegression(C=100.0, max_iter=1000),
    )


def log_odds(words: str) -> float:
    """Log odds (base e) that ``words``, as ``wording`` returns them, ask for a dialogue's intent."""
    return float(_trained().decision_function([words])[0])


@lru_cache
def _trained() -> Pipeline:
    """The trained classifier; identical on every run, because the solver uses no random numbers."""
    texts, tasks = phrases()
    return untrained().fit(texts, [task == "dialogue" for task in tasks])
