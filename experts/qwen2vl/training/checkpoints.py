"""The checkpoints from which a training run resumes, and the digest that says what an adapter was trained from."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experts.qwen2vl.adapter import WEIGHTS
from mire.atomic_files import write_text
from mire.errors import PanelError
from mire.folds import digest
from mire.samples import Sample
from mire.settings import Settings

CHECKPOINTS, MADE_OF = "checkpoints", "made_of.sha256"

_HISTORY = "history.json"


def run_digest(
    settings: Settings,
    samples: Sequence[Sample],
    held_out: Sequence[Sample],
    n_epochs: float | None,
    base_fingerprint: str,
    start: Path | None = None,
) -> str:
    """SHA-256, 64 hex digits, of everything that decides an adapter; ``start`` holds the one it continues."""
    body = {
        "settings": settings.model_dump(mode="json"),
        "samples": sorted((sample.id, digest(sample), sample.label) for sample in samples),
        "held_out": sorted((sample.id, digest(sample), sample.label) for sample in held_out),
        "n_epochs": n_epochs,
        "base": base_fingerprint,
    }
    if start:
        body["start"] = hashlib.sha256((start / WEIGHTS).read_bytes()).hexdigest()
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def has_digest(folder: Path, run: str) -> bool:
    """Whether the folder's digest is ``run``."""
    mark = folder / MADE_OF
    return mark.is_file() and mark.read_text(encoding="utf-8") == run


def resume_from(checkpoints: Path, run: str) -> str | None:
    """Create the checkpoint folder of the run with digest ``run``; returns its last whole checkpoint, if there is one.

    Raises:
        PanelError: the folder holds checkpoints of another run.
    """
    from transformers.trainer_utils import get_last_checkpoint

    if (checkpoints / MADE_OF).is_file() and not has_digest(checkpoints, run):
        raise PanelError(f"{checkpoints} holds checkpoints of other settings or samples; delete it to start afresh")
    checkpoints.mkdir(parents=True, exist_ok=True)
    write_text(checkpoints / MADE_OF, run)
    _drop_unfinished(checkpoints)
    return get_last_checkpoint(str(checkpoints))  # type: ignore[no-any-return]


def _drop_unfinished(checkpoints: Path) -> None:
    """Delete a checkpoint whose writing was interrupted; the one before it is still there."""
    for folder in checkpoints.glob("checkpoint-*"):
        try:
            json.loads((folder / "trainer_state.json").read_text(encoding="utf-8"))  # written last
        except (OSError, ValueError):
            shutil.rmtree(folder)


def write_history(log: list[dict[str, Any]], folder: Path) -> None:
    """Write what the trainer logged, one entry per log line."""
    write_text(folder / _HISTORY, json.dumps(log, indent=1) + "\n")


def epoch_losses(folder: Path) -> list[float]:
    """The mean training loss of each epoch of a finished adapter."""
    log = json.loads((folder / _HISTORY).read_text(encoding="utf-8"))
    return [float(entry["loss"]) for entry in log if "loss" in entry]


def last_epoch(folder: Path) -> float | None:
    """How many epochs an adapter was trained for; None if it was trained by another program."""
    if not (folder / _HISTORY).is_file():
        return None
    log = json.loads((folder / _HISTORY).read_text(encoding="utf-8"))
    return float(max(entry["epoch"] for entry in log))
