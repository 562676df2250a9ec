"""What each voter adds: every voter alone, every pair, the whole panel, by task and as the mean."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, f1_score

from ensemble.decisions.threshold_file import TaskThresholds
from ensemble.decisions.thresholds import CONFIDENCE, OutOfFoldAnswers
from ensemble.evaluation.calibration import calibration_error, coverage, error_by_chance, reliability
from ensemble.evaluation.held_out_votes import HeldOutVotes, collect_held_out_votes
from ensemble.evaluation.learning_curve import read_learning_curve
from ensemble.evaluation.mistakes import mistakes
from ensemble.evaluation.subset_scores import SubsetScore, VoterNames, contributions, score_subset, subsets
from ensemble.labels.from_names import alike
from ensemble.panel import by_task
from ensemble.report.ablation_result import (
    AblationResult,
    Calibration,
    LabelFigures,
    MeanFigures,
    RouterFigures,
    ShareFigures,
    SubsetResult,
    TaskResult,
)
from ensemble.voting.pooling import Array, winners
from experts.registry import VOTERS
from mire.errors import DataError
from mire.labels import TASKS, Task, Taxonomy
from mire.metrics import interval, wilson
from mire.panel_folder import PanelFolder
from mire.privacy.masking import Hide, mask
from mire.samples import Sample

logger = logging.getLogger(__name__)

PRECISIONS = (0.9, 0.95, 0.99)
"""For which the report shows what could be answered without a person."""
Score = Callable[[VoterNames], SubsetScore]
"""Scores some voters of one task."""


def ablate(samples: Sequence[Sample], root: Path, *, hide: Hide = mask) -> AblationResult:
    """Score every subset of a panel's voters on labelled samples.

    Samples that the router sent to the wrong task are counted under ``router`` and scored nowhere else. Texts of
    mistakes pass through ``hide``.

    Raises:
        DataError, PanelError: as ``collect_held_out_votes``; or every sample went to the wrong task.
    """
    folder = PanelFolder(root)
    taxonomies = folder.taxonomies()
    groups = by_task(samples, taxonomies)
    router = routing(groups, taxonomies)
    wrong = set(router.misrouted)
    if wrong:
        logger.info(f"{len(wrong)} samples went to the wrong task and are left out of the figures")
    if len(wrong) == len(samples):
        raise DataError("the router sent every sample to the other task than its label's: look at the instructions")
    kept = {task: [sample for sample in group if sample.id not in wrong] for task, group in groups.items()}
    held_out = collect_held_out_votes({task: group for task, group in kept.items() if group}, root)
    scorers: dict[Task, Score] = {part.task: cache(partial(score_subset, part)) for part in held_out}
    return AblationResult(
        configuration=folder.settings().name,
        router=router,
        mean=tuple(_means(held_out, scorers)),
        tasks={part.task: _task(part, scorers[part.task], hide, folder) for part in held_out},
    )


def routing(groups: Mapping[Task, Sequence[Sample]], taxonomies: Mapping[Task, Taxonomy]) -> RouterFigures:
    """Score the router by the labels of routed samples; a label of both tasks, or of none, counts as right."""
    counts = {true: dict.fromkeys(TASKS, 0) for true in TASKS}
    misrouted: list[str] = []
    for picked, sample in ((task, sample) for task, group in groups.items() for sample in group):
        possible = [task for task, taxonomy in taxonomies.items() if sample.label in taxonomy]
        true = picked if picked in possible or len(possible) != 1 else possible[0]
        counts[true][picked] += 1
        if true != picked:
            misrouted.append(sample.id)
    return RouterFigures(counts=counts, misrouted=tuple(sorted(misrouted)))


def _means(held_out: Sequence[HeldOutVotes], scorers: Mapping[Task, Score]) -> Iterator[MeanFigures]:
    """The mean of both tasks' F1, for the panel and for every voter that answers both."""
    if len(held_out) < len(TASKS):
        return
    first, second = held_out
    yield _mean("panel", scorers[first.task](tuple(first.votes)), scorers[second.task](tuple(second.votes)))
    for name in (name for name in first.votes if name in second.votes):
        yield _mean(name, scorers[first.task]((name,)), scorers[second.task]((name,)))


def _mean(name: str, first: SubsetScore, second: SubsetScore) -> MeanFigures:
    left, right = first.figures, second.figures
    times = [figures.milliseconds for figures in (left, right) if figures.milliseconds is not None]
    return MeanFigures(
        name=name,
        n=left.n + right.n,
        f1=(left.f1 + right.f1) / 2,
        **asdict(interval((first.resamples + second.resamples) / 2)),
        calls=(left.calls + right.calls) / 2,
        output_tokens=(left.output_tokens + right.output_tokens) / 2,
        milliseconds=sum(times) / 2 if len(times) == 2 else None,
    )


def _task(held_out: HeldOutVotes, score: Score, hide: Hide, folder: PanelFolder) -> TaskResult:
    names = tuple(held_out.votes)
    panel = score(names)
    pooled = held_out.pooled(names)
    predicted, unlike = winners(pooled), held_out.unlike()
    answers = OutOfFoldAnswers(pooled.max(axis=1), predicted, predicted == held_out.truth, unlike)
    weights = tuple(weights for _, weights in held_out.weights(names))
    indices = np.arange(len(held_out.taxonomy.labels))
    return TaskResult(
        n=len(held_out.truth),
        votes="out_of_fold" if held_out.out_of_fold else "fresh",
        systems=tuple(
            SubsetResult(**dict(part.figures), versus_panel=interval(part.resamples - panel.resamples))
            for part in map(score, subsets(names))
        ),
        calibration=_calibration(held_out, pooled),
        weights=weights,
        labels=_labels(held_out, predicted),
        confusion=confusion_matrix(held_out.truth, predicted, labels=indices).tolist(),
        mistakes=mistakes(held_out, pooled, predicted, hide=hide),
        contributions=contributions(names, score),
        thresholds=tuple(_threshold(answers, precision) for precision in PRECISIONS),
        unlike=_unlike(unlike) if any(voter.evidence for fit in weights for voter in fit.voters.values()) else None,
        learning=read_learning_curve(folder, held_out.task),
        alike=tuple(alike(held_out.taxonomy.live)) if any(VOTERS[name].describes for name in names) else (),
    )


def _threshold(answers: OutOfFoldAnswers, precision: float) -> TaskThresholds:
    found = answers.threshold(precision=precision)
    return TaskThresholds(precision=precision, confidence=CONFIDENCE, task=found, labels={})


def _unlike(flagged: NDArray[np.bool_]) -> ShareFigures:
    n_flagged = int(flagged.sum())
    return ShareFigures(share=n_flagged / len(flagged), **asdict(wilson(n_flagged, len(flagged))))


def _labels(held_out: HeldOutVotes, predicted: NDArray[np.int64]) -> tuple[LabelFigures, ...]:
    truth, entries = held_out.truth, held_out.taxonomy.live
    per_label = f1_score(truth, predicted, labels=np.arange(len(entries)), average=None, zero_division=0.0)
    return tuple(
        LabelFigures(name=entry.name, gloss=entry.gloss, n=int((truth == index).sum()), f1=float(per_label[index]))
        for index, entry in enumerate(entries)
    )


def _calibration(held_out: HeldOutVotes, pooled: Array) -> Calibration:
    raw = held_out.pooled(tuple(held_out.votes), calibrated=False)
    before, after = reliability(raw, held_out.truth), reliability(pooled, held_out.truth)
    return Calibration(
        error_before=calibration_error(before),
        error_after=calibration_error(after),
        error_by_chance=error_by_chance(pooled),
        before=tuple(before),
        after=tuple(after),
        coverage=tuple(coverage(pooled, held_out.truth)),
    )
