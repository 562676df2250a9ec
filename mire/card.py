"""What a panel's experts of one task were trained on, and how they did: written by training, read by people."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from mire.errors import PanelError
from mire.labels import TASKS, Task
from mire.panel_folder import PanelFolder

_DECIDES_NOTHING = ("folds", "logs", "checkpoints", "history.json", "made_of.sha256", "README.md")
"""What lies in a voter's folder besides what it answers with."""


class Figures(BaseModel):
    """Weighted F1 on n samples, with its 95 % interval."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    n: int
    f1: float
    low: float
    high: float


class Card(BaseModel):
    """One task's training: the data, the folds, the out-of-fold figures, the versions.

    ``data_digest`` is the file's SHA-256, 12 hex digits of it; ``commit`` is empty outside a checkout.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: Task
    configuration: str
    trained: str
    data: str
    data_digest: str
    n_samples: int
    n_labels: int
    n_guessed: int
    n_folds: int
    voters: dict[str, Figures]
    panel: Figures
    versions: dict[str, str]
    commit: str


def read_card(folder: PanelFolder, task: Task) -> Card | None:
    """The task's card; None where the panel was trained before there were any.

    Raises:
        PanelError: it is broken.
    """
    path = folder.card(task)
    if not path.is_file():
        return None
    try:
        return Card.model_validate_json(path.read_text(encoding="utf-8", errors="replace"))
    except ValidationError as error:
        raise PanelError(f"{path} is broken: {error.errors()[0]['msg']}; train the panel again") from error


def fingerprint(folder: PanelFolder) -> str:
    """12 hex digits that change with anything in the folder that decides an answer."""
    whole = hashlib.sha256()
    for path in _deciding(folder):
        with path.open("rb") as file:
            whole.update(f"{path.relative_to(folder.root).as_posix()} ".encode())
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()[:12]


def _deciding(folder: PanelFolder) -> Iterator[Path]:
    yield folder.root / "settings.json"
    for task in (task for task in TASKS if folder.has(task)):
        yield from (folder.task(task) / "taxonomy.json", folder.weights(task))
        for voter in folder.settings().panel.voters(task):
            root = folder.voter(task, voter)
            for path in sorted(root.rglob("*")):
                if path.is_file() and path.relative_to(root).parts[0] not in _DECIDES_NOTHING:
                    yield path
