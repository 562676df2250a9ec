"""Score a submission as the official script does, pooled and by task."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ensemble.panel import by_task
from ensemble.prediction.submission import read_submission
from mire.errors import DataError, quoted
from mire.labels import TASKS
from mire.metrics import mean_f1, scores
from mire.samples import read_samples


def score_submission(truth: Path, submission: Path) -> dict[str, Any]:
    """Every metric of ``mire.metrics``: pooled over all rows, by task, and the mean F1 of both.

    A task without samples is null, and then so is ``mean_f1``.

    Raises:
        DataError: the ids of the two files are not the same, or a truth has no label.
    """
    samples = read_samples(truth)
    answers = read_submission(submission)
    unlabelled = [sample.id for sample in samples if sample.label is None]
    if unlabelled:
        raise DataError(f"{truth}: every sample needs its label in 'output', {quoted(unlabelled[0])} has none")
    odd = {sample.id for sample in samples} ^ answers.keys()
    if odd:
        raise DataError(
            f"{submission} must hold exactly the ids of {truth}; {len(odd)} differ (first: {quoted(sorted(odd)[0])})"
        )
    groups = by_task(samples)
    tasks = {task: _figures(groups[task], answers) if task in groups else None for task in TASKS}
    return {
        **_figures(samples, answers),
        "tasks": tasks,
        "mean_f1": mean_f1({task: figures["f1"] for task, figures in tasks.items() if figures}),
    }


def _figures(samples: Sequence[Any], answers: dict[str, str]) -> dict[str, float]:
    result = scores([sample.label for sample in samples], [answers[sample.id] for sample in samples])
    return {"n": result.n, **result.figures}
