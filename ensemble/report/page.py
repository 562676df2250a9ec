"""``ablation.html``: one file that opens offline and shows what ``ablation.json`` holds.

Matplotlib draws the charts. No script, no font, no picture is fetched; the reader's own fonts show the Chinese text.
"""

import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader

from ensemble.report import charts
from ensemble.report.thumbnails import Thumbnails
from mire.atomic_files import atomic_write

N_CONFUSED = 6


def render(result: dict[str, Any]) -> str:
    """The page for the dictionary that ``ensemble.ablate.ablate`` returns; every text is escaped."""
    loader = PackageLoader("ensemble.report", package_path="")
    environment = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    tasks = {name: task | {"shown": _shown(task)} for name, task in result["tasks"].items()}
    return environment.get_template("report_template.html").render(
        configuration=result["configuration"],
        headline=_headline(result),
        mean=result["mean"],
        router=result["router"],
        tasks=tasks,
        thumbnail=Thumbnails(),
        charts=charts,
    )


def write_report(result: dict[str, Any], folder: Path) -> None:
    """Write ``ablation.json`` and ``ablation.html``, each whole or not at all."""
    for name, text in (
        ("ablation.json", json.dumps(result, ensure_ascii=False, indent=1) + "\n"),
        ("ablation.html", render(result)),
    ):
        with atomic_write(folder / name) as file:
            file.write(text)


def _headline(result: dict[str, Any]) -> dict[str, Any]:
    """The panel's figures: the mean of both tasks, or those of the only one."""
    if result["mean"]:
        return {**result["mean"][0], "what": "mean weighted F1 of both tasks"}
    ((name, task),) = result["tasks"].items()
    return {**task["systems"][-1], "what": f"weighted F1, {name} task only"}


def _shown(task: dict[str, Any]) -> dict[str, Any]:
    """What the template needs besides: the panel, its best voter, mean weights, and the charts' scales."""
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
        "confused": _confused(task),
        "reach": _reach(task["contributions"]),
    }


def _confused(task: dict[str, Any]) -> list[tuple[str, str, int]]:
    """The most frequent mistakes: right label, given label, how often."""
    names = [label["name"] for label in task["labels"]]
    pairs = [
        (true, given, count)
        for true, row in zip(names, task["confusion"], strict=True)
        for given, count in zip(names, row, strict=True)
        if count and true != given
    ]
    return sorted(pairs, key=lambda pair: -pair[2])[:N_CONFUSED]


def _reach(contributions: dict[str, list[dict[str, Any]]]) -> float:
    """Half the width of the charts of changes, in F1: all of them share one scale."""
    changes = [*contributions["left_out"], *contributions["added"][1:]]
    return max((abs(change[key]) for change in changes for key in ("low", "change", "high")), default=0.0) or 1.0
