"""Export a panel to share: what a prediction needs and a card; nothing of the training samples, or of this machine."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath
from typing import Any

from ensemble.training.adapter_export import new_folder
from ensemble.training.model_card import panel_card
from experts.registry import VOTERS
from mire.atomic_files import write_text
from mire.errors import PanelError
from mire.panel_folder import PanelFolder


def export_panel(panel: PanelFolder, out: Path) -> None:
    """Copy the files that decide answers, one by one by name, and write the card anew.

    Folds, out-of-fold votes, pseudo-labels, logs and reports stay behind, and absolute paths become names, so that a
    base or weights of one's own must lie in the folder that the exported panel is used from.

    Raises:
        PanelError: it is no panel, or not trained; a voter's file is missing, or lies elsewhere, behind a link; ``out``
            is not an empty folder.
    """
    files = list(_files(panel))
    if missing := [path for _, path in files if not path.is_file()]:
        raise PanelError(f"{missing[0]} is missing; copy the panel again, or train it again")
    panel.check_links(*(path for _, path in files))
    new_folder(out)
    for name, path in files:
        _copy(path, out / name)
    write_text(out / "README.md", panel_card(PanelFolder(out)) + "\n")


def _files(panel: PanelFolder) -> Iterator[tuple[str, Path]]:
    """The files to copy by their names in the panel."""
    settings, tasks = panel.settings(), panel.trained_tasks()
    if not tasks:
        raise PanelError(f"{panel.root} holds no experts; train them: mire train all --panel {panel.root}")
    yield "settings.json", panel.root / "settings.json"
    for task in tasks:
        place = panel.task(task)
        paths = [place / "taxonomy.json", panel.weights(task)]
        paths += [path for path in (panel.added(task), panel.card(task), panel.thresholds(task)) if path.is_file()]
        for voter in settings.panel.voters(task):
            paths += [panel.voter(task, voter) / name for name in VOTERS[voter].files]
        yield from ((f"{task}/{path.relative_to(place).as_posix()}", path) for path in paths)


def _copy(path: Path, target: Path) -> None:
    """A JSON file that names no path is copied as it is, like any other."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".json" and (body := json.loads(path.read_bytes())) != (clean := _without_paths(body)):
        write_text(target, json.dumps(clean, ensure_ascii=False, indent=2) + "\n")
    else:
        shutil.copyfile(path, target)


def _without_paths(value: Any) -> Any:
    """A JSON value with the last part of each path that leads out of the working directory in the path's place."""
    if isinstance(value, dict):
        return {key: _without_paths(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_without_paths(each) for each in value]
    if isinstance(value, str) and (value.startswith(("/", "~/", "../")) or PureWindowsPath(value).is_absolute()):
        return PureWindowsPath(value).name
    return value
