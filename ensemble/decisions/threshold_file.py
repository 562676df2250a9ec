"""A task's thresholds, as stored in the panel folder, and why a person should look at an answer."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from mire.atomic_files import read_model, write_text
from mire.labels import Task
from mire.panel_folder import PanelFolder

Reason = Literal["unsure", "unlike"]
"""Why a person should look: the probability is below the threshold, the input is unlike anything seen."""
LEAST_FAMILIAR = 0.05
"""An input that looks less known than all but this share of the known samples is unlike anything seen."""


class Threshold(BaseModel):
    """From which probability on answers are right as often as was asked.

    ``threshold`` in (0, 1] is None where none reaches it. ``n`` out-of-fold answers were judged, the share ``coverage``
    of them lies at or above the threshold, and ``bound`` is the one-sided Clopper-Pearson lower bound of these
    answers' precision, at the confidence that was asked; 0 without a threshold.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    threshold: float | None = None
    coverage: float = 0.0
    bound: float = 0.0
    n: int


class TaskThresholds(BaseModel):
    """The threshold of a whole task, which decides, and those of labels with enough answers.

    ``precision`` and ``confidence`` (0 to 1) are what was asked. Each promise holds by itself, not all at once.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    precision: float
    confidence: float
    task: Threshold
    labels: dict[str, Threshold]

    def asks_review(self, probability: float) -> bool:
        """Whether a person should look at an answer of this probability (0 to 1)."""
        return self.task.threshold is None or probability < self.task.threshold


def is_unlike(familiarity: float | None) -> bool:
    """Whether an input of this familiarity (0 to 1; None: unknown) is unlike anything seen."""
    return familiarity is not None and familiarity < LEAST_FAMILIAR


def review_reasons(*, unsure: bool, familiarity: float | None) -> tuple[Reason, ...]:
    """Every reason why a person should look; empty if nobody needs to."""
    holds: dict[Reason, bool] = {"unsure": unsure, "unlike": is_unlike(familiarity)}
    return tuple(reason for reason in holds if holds[reason])


def read_thresholds(panel: PanelFolder, task: Task) -> TaskThresholds | None:
    """The task's thresholds; None where nobody asked for any since it was trained.

    Raises:
        PanelError: the file is broken.
    """
    path = panel.thresholds(task)
    return read_model(path, TaskThresholds, next_step="run mire threshold again") if path.is_file() else None


def write_thresholds(thresholds: TaskThresholds, panel: PanelFolder, task: Task) -> None:
    """Write ``thresholds.json``; raises PanelError where it lies behind a link that leads out of the panel."""
    panel.check_links(panel.thresholds(task))
    write_text(panel.thresholds(task), thresholds.model_dump_json(indent=2) + "\n")
