"""``drift.html``: one file that opens offline, and ``drift.json`` beside it."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from ensemble.decisions.drift import TaskDrift
from ensemble.report import charts
from ensemble.report.language import Language, environment
from mire.atomic_files import write_text

_LEFT_OUT = ("probabilities_before", "probabilities_now")
"""Drawn on the page only: one number per answer."""


def write_drift(found: Sequence[TaskDrift], folder: Path, language: Language = "en") -> None:
    """Write both files, each whole or not at all."""
    tasks = {drift.task: {"drifted": drift.drifted, **_figures(drift)} for drift in found}
    body = {"drifted": any(drift.drifted for drift in found), "tasks": tasks}
    write_text(folder / "drift.json", json.dumps(body, ensure_ascii=False, indent=1) + "\n")
    page = environment("ensemble.report", language).get_template("drift_template.html")
    write_text(folder / "drift.html", page.render(found=found, charts=charts))


def _figures(drift: TaskDrift) -> dict[str, object]:
    return {key: value for key, value in asdict(drift).items() if key not in ("task", *_LEFT_OUT)}
