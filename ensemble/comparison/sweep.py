"""Train the same data under several settings and seeds, one panel per run; finished runs are kept."""

import hashlib
import json
import logging
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from ensemble.comparison.systems import System
from ensemble.training.train_panel import train_panel
from mire.atomic_files import read_model, write_text
from mire.errors import UsageError, quoted
from mire.labels import Task
from mire.panel_card import fingerprint
from mire.panel_folder import PanelFolder
from mire.settings import Settings, load_settings

logger = logging.getLogger(__name__)

FINISHED = "sweep.json"


@dataclass(frozen=True)
class Run:
    """One training: the run's name, its own ``KEY=VALUE``, its settings with all of them, where its panel goes."""

    name: str
    overrides: tuple[str, ...]
    settings: Settings
    panel: PanelFolder


class Finished(BaseModel):
    """A finished run: ``asked`` is a digest of settings, tasks and data, ``panel`` of all that decides an answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    overrides: tuple[str, ...]
    asked: str
    panel: str


def plan(
    named: Sequence[Sequence[str]], out: Path, *, config: str, overrides: Sequence[str], seeds: Sequence[int]
) -> list[Run]:
    """Every run (its name, then its overrides) with every seed (none: the configuration's), into ``out/NAME/seed-N``.

    Raises:
        UsageError: a name is no folder's name, or stands twice.
        SettingsError: an entry is invalid.
    """
    names = [name for name, *_ in named]
    for name in names:
        if not re.fullmatch(r"\w[\w.-]*", name) or names.count(name) > 1:
            raise UsageError(
                f"--run: a name is unique, of letters, digits, _, - and ., and comes before the settings, as "
                f"--run low qwen2vl.image.learning_rate=1e-4; got {quoted(name)}"
            )
    runs = []
    for name, *own in named:
        for seed in [[f"seed={seed}"] for seed in dict.fromkeys(seeds)] or [[]]:
            settings = load_settings(config, [*overrides, *own, *seed])
            runs.append(Run(name, tuple(own), settings, PanelFolder(out / name / f"seed-{settings.seed}")))
    return runs


def sweep(tasks: Sequence[Task], runs: Sequence[Run], out: Path, *, data: Path, **training: Any) -> list[System]:
    """Train every run that is not finished; returns the systems to compare, each with its seeds' panels.

    ``training`` is what else ``train_panel`` takes: ``images``, ``kind``, ``n_devices``.

    Raises:
        MireError: as ``train_panel``; what is finished by then is kept.
    """
    path, panels = out / FINISHED, defaultdict[str, list[Path]](list)
    finished = read_model(path, dict[str, Finished], next_step="delete it") if path.is_file() else {}
    for number, run in enumerate(runs, start=1):
        panel, asked = run.panel, _digest(run.settings, tasks, data)
        panels[run.name].append(panel.root)
        key, where = panel.root.relative_to(out).as_posix(), f"run {number} of {len(runs)}, {panel.root}"
        if _is_finished(finished.get(key), asked, panel):
            logger.info(f"{where}: was finished before")
            continue
        logger.info(f"{where}: {' '.join(run.overrides) or 'no setting of its own'}")
        train_panel(tasks, data=data, panel=panel, settings=run.settings, **training)
        finished[key] = Finished(overrides=run.overrides, asked=asked, panel=fingerprint(panel))
        body = {name: each.model_dump() for name, each in finished.items()}
        write_text(path, json.dumps(body, ensure_ascii=False, indent=1) + "\n")
    return [System(name, tuple(roots)) for name, roots in panels.items()]


def _digest(settings: Settings, tasks: Sequence[Task], data: Path) -> str:
    """12 hex digits."""
    asked = f"{settings.model_dump_json()} {' '.join(tasks)} ".encode()
    return hashlib.sha256(asked + data.read_bytes()).hexdigest()[:12]


def _is_finished(before: Finished | None, asked: str, panel: PanelFolder) -> bool:
    if before is None or before.asked != asked or not (panel.root / "settings.json").is_file():
        return False
    return fingerprint(panel) == before.panel
