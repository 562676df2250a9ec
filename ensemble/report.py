"""``ablation.html``: one file that opens offline and shows what ``ablation.json`` holds.

No script, no font, no picture is fetched; the reader's own fonts show the Chinese text.
"""

from importlib import resources
from typing import Any

from ensemble.thumbnails import Thumbnails


def render(result: dict[str, Any]) -> str:
    """The page for the dictionary that ``ensemble.ablate.ablate`` returns; every text is escaped."""
    from jinja2 import Environment

    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    source = resources.files("ensemble").joinpath("report_template.html").read_text(encoding="utf-8")
    tasks = {name: task | {"shown": _shown(task)} for name, task in result["tasks"].items()}
    return environment.from_string(source).render(
        configuration=result["configuration"],
        headline=_headline(result),
        mean=result["mean"],
        tasks=tasks,
        thumbnail=Thumbnails(),
    )


def _headline(result: dict[str, Any]) -> dict[str, Any]:
    """The panel's figures: the mean of both tasks, or those of the only one."""
    if result["mean"]:
        return {**result["mean"][0], "what": "mean weighted F1 of both tasks"}
    ((name, task),) = result["tasks"].items()
    return {**task["systems"][-1], "what": f"weighted F1, {name} task only"}


def _shown(task: dict[str, Any]) -> dict[str, Any]:
    """What the template needs besides: the panel, its best voter, mean weights, the confusion's peak."""
    panel = task["systems"][-1]
    alone = [system for system in task["systems"] if len(system["voters"]) == 1]
    best = max(alone, key=lambda system: system["f1"])
    fits = task["weights"]
    weights = {
        name: {key: sum(fit["voters"][name][key] for fit in fits) / len(fits) for key in ("weight", "temperature")}
        for name in fits[0]["voters"]
    }
    return {
        "panel": panel,
        "best": best,
        "gain": panel["f1"] - best["f1"],
        "weights": weights,
        "labels": sorted(task["labels"], key=lambda label: label["f1"]),
        "peak": max(max(row) for row in task["confusion"]) or 1,
    }
