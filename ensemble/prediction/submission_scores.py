"""Score a submission as the official script does, pooled and by task, with bootstrap intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ensemble.panel import by_task
from ensemble.prediction.submission import read_submission
from mire.errors import DataError, quoted
from mire.labels import TASKS
from mire.metrics import interval, mean_f1, resampled_f1, scores
from mire.samples import Sample, read_samples


def score_submission(truth: Path, submission: Path) -> dict[str, Any]:
    """Every metric of ``mire.metrics``: pooled over all rows, by task, and the mean F1 of both.

    ``low`` and ``high`` (``mean_low``, ``mean_high``) are the 95 % bootstrap interval of F1. A task without samples is
    null, and then so is the mean.

    Raises:
        DataError: as ``read_truth`` and ``read_answers``.
    """
    samples = read_truth(truth)
    answers = read_answers(submission, samples, truth)
    groups = by_task(samples)
    # Another seed per task: the mean of both tasks adds their resamples, which must be independent.
    parts = {task: _figures(groups[task], answers, seed=seed) for seed, task in enumerate(TASKS) if task in groups}
    mean = mean_f1({task: figures["f1"] for task, (figures, _) in parts.items()})
    bounds = interval(np.mean([resamples for _, resamples in parts.values()], axis=0))
    return {
        **_figures(samples, answers)[0],
        "tasks": {task: parts[task][0] if task in parts else None for task in TASKS},
        "mean_f1": mean,
        "mean_low": None if mean is None else bounds.low,
        "mean_high": None if mean is None else bounds.high,
    }


def read_truth(path: Path) -> list[Sample]:
    """Labelled samples, without their pictures.

    Raises:
        DataError: the file breaks the format, or a sample has no label.
    """
    samples = read_samples(path)
    unlabelled = [sample.id for sample in samples if sample.label is None]
    if unlabelled:
        raise DataError(f"{path}: every sample needs its label in 'output', {quoted(unlabelled[0])} has none")
    return samples


def read_answers(submission: Path, samples: Sequence[Sample], truth: Path) -> dict[str, str]:
    """A submission's label by id; ``truth`` is the samples' file.

    Raises:
        DataError: no submission, or its ids are not the samples'.
    """
    answers = read_submission(submission)
    odd = {sample.id for sample in samples} ^ answers.keys()
    if odd:
        raise DataError(
            f"{submission} must hold exactly the ids of {truth}; {len(odd)} differ (first: {quoted(sorted(odd)[0])})"
        )
    return answers


def _figures(
    samples: Sequence[Sample], answers: Mapping[str, str], *, seed: int = 0
) -> tuple[dict[str, float], NDArray[np.float64]]:
    """The figures, and the resamples of F1, (N_RESAMPLES,)."""
    truth, given = [str(sample.label) for sample in samples], [answers[sample.id] for sample in samples]
    resamples = resampled_f1(truth, given, seed=seed)
    result = scores(truth, given)
    return {"n": result.n, **result.figures, **asdict(interval(resamples))}, resamples
