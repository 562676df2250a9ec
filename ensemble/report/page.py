"""``ablation.html``: one file that opens offline and shows what ``ablation.json`` holds.

Matplotlib draws the charts. No script, font or picture is fetched; the reader's own fonts show the Chinese text.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from ensemble.report import charts
from ensemble.report.ablation_result import (
    AblationResult,
    ExamplesFigures,
    LabelFigures,
    MeanFigures,
    SubsetFigures,
    TaskResult,
)
from ensemble.report.language import Language, environment
from ensemble.voting.weights import VoterWeight
from mire.atomic_files import write_text
from mire.labels import Task
from mire.privacy.thumbnails import Thumbnails

N_CONFUSED = 6
N_IN_NEED = 8


def render(result: AblationResult, language: Language = "en") -> str:
    """The page of an ablation; every text is escaped."""
    figures, only = _headline(result)
    return (
        environment("ensemble.report", language)
        .get_template("report_template.html")
        .render(
            result=result,
            headline=figures,
            only=only,
            views={name: TaskView.of(task) for name, task in result.tasks.items()},
            thumbnail=Thumbnails(),
            charts=charts,
        )
    )


def write_report(result: AblationResult, folder: Path, language: Language = "en") -> None:
    """Write ``ablation.json`` and ``ablation.html``, each whole or not at all."""
    body = json.dumps(result.model_dump(mode="json"), ensure_ascii=False, indent=1)
    write_text(folder / "ablation.json", body + "\n")
    write_text(folder / "ablation.html", render(result, language))


def _headline(result: AblationResult) -> tuple[MeanFigures | SubsetFigures, Task | None]:
    """The panel's figures, and their task where there is only one; else they are the mean of both."""
    if result.mean:
        return next(mean for mean in result.mean if mean.name == "panel"), None
    ((name, task),) = result.tasks.items()
    return task.panel, name


@dataclass(frozen=True)
class TaskView:
    """What the page derives from a task's figures."""

    # F1 of the panel less that of its best voter
    gain: float
    # each voter's weight and temperature, as the mean over the fits
    weights: dict[str, VoterWeight]
    # the labels with the lowest F1 first
    labels: list[LabelFigures]
    # the largest count in the confusion matrix, at least 1
    peak: int
    # the most frequent mistakes: right label, answer, how often
    confused: list[tuple[str, str, int]]
    # the labels that a further example would help most
    in_need: list[ExamplesFigures]
    # described alike: both labels, the cosine of their words, how often one was taken for the other
    alike: list[tuple[str, str, float, int]]
    # half the width of the charts of changes, in F1: all of them share one scale
    reach: float

    @classmethod
    def of(cls, task: TaskResult) -> "TaskView":
        return cls(
            gain=task.panel.f1 - task.best_voter.f1,
            weights={name: _mean_weight(task, name) for name in task.panel.voters},
            labels=sorted(task.labels, key=lambda label: label.f1),
            peak=max(max(row) for row in task.confusion) or 1,
            confused=_confused(task),
            in_need=sorted(task.learning.labels, key=lambda label: -label.need)[:N_IN_NEED] if task.learning else [],
            alike=_alike(task),
            reach=_reach(task),
        )


def _mean_weight(task: TaskResult, voter: str) -> VoterWeight:
    fits = [fit.voters[voter] for fit in task.weights]
    return VoterWeight(
        weight=sum(fit.weight for fit in fits) / len(fits), temperature=sum(fit.temperature for fit in fits) / len(fits)
    )


def _confused(task: TaskResult) -> list[tuple[str, str, int]]:
    names = [label.name for label in task.labels]
    pairs = [
        (true, given, count)
        for true, row in zip(names, task.confusion, strict=True)
        for given, count in zip(names, row, strict=True)
        if count and true != given
    ]
    return sorted(pairs, key=lambda pair: -pair[2])[:N_CONFUSED]


def _alike(task: TaskResult) -> list[tuple[str, str, float, int]]:
    indices = {label.name: index for index, label in enumerate(task.labels)}
    pairs = [(left, right, cosine, indices[left], indices[right]) for left, right, cosine in task.alike[:N_CONFUSED]]
    counts = task.confusion
    return [(left, right, cosine, counts[one][other] + counts[other][one]) for left, right, cosine, one, other in pairs]


def _reach(task: TaskResult) -> float:
    steps = [*task.contributions.left_out, *task.contributions.added[1:]]
    return max((abs(value) for step in steps for value in (step.low, step.change, step.high)), default=0.0) or 1.0
