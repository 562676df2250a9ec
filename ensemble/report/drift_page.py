"""``drift.html``: one file that opens offline, and ``drift.json`` beside it."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from ensemble.decisions.drift import TaskDrift
from ensemble.report import charts
from ensemble.report.page import template
from mire.atomic_files import write_text

_LEFT_OUT = ("probabilities_before", "probabilities_now")
"""Drawn on the page only: one number per answer."""


def write_drift(found: Sequence[TaskDrift], folder: Path) -> None:
    """Write both files, each whole or not at all."""
    tasks = {drift.task: {"drifted": drift.drifted, **_figures(drift)} for drift in found}
    body = {"drifted": any(drift.drifted for drift in found), "tasks": tasks}
    write_text(folder / "drift.json", json.dumps(body, ensure_ascii=False, indent=1) + "\n")
    write_text(folder / "drift.html", template("drift_template.html").render(found=found, charts=charts))


def _figures(drift: TaskDrift) -> dict[str, object]:
    return {key: value for key, value in asdict(drift).items() if key not in ("task", *_LEFT_OUT)}
