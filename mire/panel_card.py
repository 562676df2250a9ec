"""What a panel's experts of one task were trained on, and how they did: written by training, read by people."""

import hashlib

from pydantic import BaseModel, ConfigDict

from mire.atomic_files import read_model
from mire.labels import Task
from mire.panel_folder import PanelFolder


class Figures(BaseModel):
    """Weighted F1 on n samples, with its 95 % interval."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    n: int
    f1: float
    low: float
    high: float


class Checks(BaseModel):
    """How a training went, on samples that it left out: shares (0 to 1) with the number of samples, and accidents.

    Each accident is a sentence with its usual cause; the rules are in ``ensemble.training.accidents``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    figures: dict[str, tuple[float, int]]
    accidents: tuple[str, ...]


class DraftsGain(BaseModel):
    """A voter's out-of-fold F1 with the labels' drafts and without, and the difference's paired 95 % interval."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    f1: float
    without: float
    low: float
    high: float


class Card(BaseModel):
    """One task's training: the data, the folds, the out-of-fold figures, the versions.

    ``data_digest`` is the file's SHA-256, 12 hex digits of it; ``commit`` is empty outside a checkout. ``milliseconds``
    is what a sample takes each voter, on the machine that trained; empty where it was not measured. ``examples`` is the
    number of samples of each live label, ``added`` that of labels that came later. ``checks`` are those of each voter
    that was trained here; ``drafts`` is what made-up turns add to each voter that learns from them. Too few samples to
    hold any out: no folds, no figures.
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
    panel: Figures | None
    versions: dict[str, str]
    commit: str
    milliseconds: dict[str, float] = {}
    examples: dict[str, int] = {}
    checks: dict[str, Checks] = {}
    drafts: dict[str, DraftsGain] = {}
    added: dict[str, int] = {}


def read_card(folder: PanelFolder, task: Task) -> Card | None:
    """The task's card; None where the panel was trained before there were any.

    Raises:
        PanelError: it is broken.
    """
    path = folder.card(task)
    return read_model(path, Card, next_step="train the panel again") if path.is_file() else None


def fingerprint(folder: PanelFolder) -> str:
    """12 hex digits that change with anything in the folder that decides an answer."""
    whole = hashlib.sha256()
    for name, path in folder.deciding_files():
        with path.open("rb") as file:
            whole.update(f"{name} ".encode())
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()[:12]
