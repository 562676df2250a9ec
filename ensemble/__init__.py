"""The panel: route, vote, fit, predict, ablate, score, report; and, as a library, ``Panel`` and ``Question``.

>>> from ensemble import Panel
>>> panel = Panel.load("runs/cpu")
>>> panel.classify(image="screen.png").label
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ensemble.classify import Classification as Classification
    from ensemble.classify import Question as Question
    from ensemble.panel import Panel as Panel

_HOMES = {"Panel": "ensemble.panel", "Question": "ensemble.classify", "Classification": "ensemble.classify"}


def __getattr__(name: str) -> Any:
    """The library's classes, imported when they are first asked for: ``import ensemble`` loads nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'ensemble' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
