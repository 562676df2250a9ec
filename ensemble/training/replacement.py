"""New experts of a task, made beside the panel's and put in their place whole.

``PANEL/training/TASK`` is the panel that they are made in: it starts as a copy of the task's part, so that finished
adapters are kept, and a training that was killed goes on there. In the end two renames put it in place; whoever reads
the panel between them reads the old experts (``PanelFolder.task``). Those are ``PANEL/previous/TASK`` until the task's
next training ends.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from mire.errors import PanelError
from mire.labels import Task
from mire.panel_folder import PanelFolder
from mire.settings import Settings, save_settings


@contextmanager
def replacing(panel: PanelFolder, task: Task, settings: Settings) -> Iterator[PanelFolder]:
    """The panel in which the task's new experts are made; without an error inside they take the old ones' place.

    Raises:
        PanelError: another process trains the task, ``training`` holds another configuration's experts, or the panel
            a link that leads out of it.
    """
    panel.check_links()
    with only_training(panel.lock(task)):
        _finish(panel, task)
        beside = panel.beside(task)
        beside.claim(settings)
        if panel.task(task).is_dir() and not beside.task(task).exists():
            _copy(panel.task(task), beside.task(task))
        yield beside
        _replace(panel, task)


def check_none_begun(panel: PanelFolder, task: Task) -> None:
    """Refuse to go on from a training that was stopped.

    Raises:
        PanelError: one lies beside the task's experts.
    """
    if (begun := panel.beside(task).root).exists():
        raise PanelError(f"{begun} holds a training that was stopped; finish it, or delete it")


def _copy(source: Path, target: Path) -> None:
    """Copy a folder; ``target`` is there only when it is whole."""
    part = target.with_name("part")
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(source, part)
    part.rename(target)


def _replace(panel: PanelFolder, task: Task) -> None:
    """Put the new experts in place; the old ones, if they answered, are kept."""
    beside, place = panel.beside(task), panel.root / task
    if place.exists():
        place.rename(panel.replaced(task))
    beside.task(task).rename(place)
    _finish(panel, task)


def _finish(panel: PanelFolder, task: Task) -> None:
    """Finish a ``_replace`` that was killed; otherwise change nothing."""
    old, place, previous = panel.replaced(task), panel.root / task, panel.previous(task)
    if old.exists() and not place.exists():
        old.rename(place)
    elif old.exists() and not (old / "weights.json").exists():
        shutil.rmtree(old)
    elif old.exists():
        shutil.rmtree(previous, ignore_errors=True)
        previous.parent.mkdir(exist_ok=True)
        save_settings(panel.settings(), previous.parent / "settings.json")
        old.rename(previous)
    if not panel.beside(task).task(task).exists():
        shutil.rmtree(panel.beside(task).root, ignore_errors=True)


@contextmanager
def only_training(path: Path) -> Iterator[None]:
    """Hold a lock file that other trainings respect; the system releases it when the process ends.

    Raises:
        PanelError: another process holds it, or the file cannot be written.
    """
    lock = FileLock(path, blocking=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise PanelError(f"another training holds {path}; wait for it, or choose another --panel") from error
    except OSError as error:
        raise PanelError(f"{path} cannot be written: {error.strerror}") from error
    try:
        yield
    finally:
        lock.release()
