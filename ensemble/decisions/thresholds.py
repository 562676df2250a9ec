"""Thresholds with a promise: above them answers are right as often as was asked, with the confidence that was asked."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil, log

import numpy as np
from numpy.typing import NDArray

from ensemble.decisions.threshold_file import TaskThresholds, Threshold, is_unlike, read_thresholds
from ensemble.voting.fitting import cross_fit
from ensemble.voting.oof_votes import read_out_of_fold_votes
from ensemble.voting.pooling import Array, winners
from mire.labels import Task
from mire.panel_folder import PanelFolder

logger = logging.getLogger(__name__)

CONFIDENCE = 0.95


@dataclass(frozen=True)
class OutOfFoldAnswers:
    """A panel's answers to its training samples, of which neither voters nor weights have seen the sample.

    All (n,): each answer's probability, its label's index, whether it is right, and whether the sample was taken for
    unlike anything seen.
    """

    probability: Array
    answers: NDArray[np.int64]
    right: NDArray[np.bool_]
    unlike: NDArray[np.bool_]

    def rows(self, chosen: NDArray[np.bool_]) -> "OutOfFoldAnswers":
        """The answers to some of the samples."""
        return OutOfFoldAnswers(*(values[chosen] for values in vars(self).values()))

    def threshold(self, *, precision: float, confidence: float = CONFIDENCE) -> Threshold:
        """As ``find_threshold``; answers to samples unlike anything seen count as undecided."""
        known = self.rows(~self.unlike)
        found = find_threshold(known.probability, known.right, precision=precision, confidence=confidence)
        coverage = found.coverage * len(known.right) / len(self.right)
        return found.model_copy(update={"coverage": coverage, "n": len(self.right)})


def find_threshold(
    probability: Array, right: NDArray[np.bool_], *, precision: float, confidence: float = CONFIDENCE
) -> Threshold:
    """The lowest probability at or above which answers have this precision, with this confidence.

    ``probability`` (n,) is each answer's own, ``right`` (n,) whether it was. Thresholds are tested one by one, from a
    high one downwards, each by the Clopper-Pearson bound at the whole error rate, until the first that fails: fixed
    sequence testing in "Learn then Test" (Angelopoulos et al. 2021, https://arxiv.org/abs/2110.01052). The first one
    is where the test would pass most surely if every answer were right with its own probability, which looks at no
    label. ``scripts/benchmarks/thresholds.py`` compares this with other procedures.
    """
    from scipy.stats import beta, binom

    order = np.argsort(-probability, kind="stable")
    sure = probability[order]
    ends = np.flatnonzero(np.diff(sure, append=-1.0) < 0)  # Equal probabilities stand or fall together
    n_above, hits = ends + 1, np.cumsum(right[order])[ends]
    error = 1 - confidence
    most_below = binom.isf(error, n_above, precision)
    power = binom.sf(most_below, n_above, np.minimum(np.cumsum(sure)[ends] / n_above, 1.0))
    start = int(power.argmax())
    n_passed = int(np.append(hits[start:] <= most_below[start:], True).argmax())
    if not n_passed:
        return Threshold(n=len(right))
    last = start + n_passed - 1
    bound = beta.ppf(error, hits[last], n_above[last] - hits[last] + 1)
    return Threshold(
        threshold=float(sure[ends[last]]), coverage=n_above[last] / len(right), bound=float(bound), n=len(right)
    )


def fit_thresholds(
    panel: PanelFolder, task: Task, *, precision: float, confidence: float = CONFIDENCE
) -> TaskThresholds:
    """The task's threshold, and one for each label with enough answers, from ``out_of_fold_answers``.

    A label has enough answers where the bound can be reached at all: by answers that are all right.

    Raises:
        PanelError: as ``read_out_of_fold_votes``.
    """
    found = out_of_fold_answers(panel, task)
    enough = ceil(log(1 - confidence) / log(precision))
    own = {name: found.rows(found.answers == index) for index, name in enumerate(panel.taxonomy(task).labels)}
    return TaskThresholds(
        precision=precision,
        confidence=confidence,
        task=found.threshold(precision=precision, confidence=confidence),
        labels={
            name: answers.threshold(precision=precision, confidence=confidence)
            for name, answers in own.items()
            if (~answers.unlike).sum() >= enough
        },
    )


def out_of_fold_answers(panel: PanelFolder, task: Task) -> OutOfFoldAnswers:
    """The answers to all training samples, cross-fitted.

    Raises:
        PanelError: as ``read_out_of_fold_votes``.
    """
    oof = read_out_of_fold_votes(panel, task)
    pooled = np.zeros_like(next(iter(oof.votes.values())))
    unlike = np.zeros(len(oof.ids), dtype=bool)
    for rows, weights in cross_fit(oof, panel.settings(), task):
        pooled[rows] = weights.pool(oof.rows(rows).votes)
        for row in rows:
            unlike[row] = is_unlike(weights.familiarity({name: told[row] for name, told in oof.evidence.items()}))
    answers = winners(pooled)
    return OutOfFoldAnswers(pooled.max(axis=1), answers, answers == oof.truth, unlike)


def decision_thresholds(
    panel: PanelFolder, tasks: Iterable[Task], precision: float | None = None
) -> dict[Task, float | None]:
    """For each task the probability from which an answer is decided; None: every answer is for a person.

    Without ``precision`` (0 to 1) the panel's own thresholds count.

    Raises:
        PanelError: as ``fit_thresholds``, or the panel's thresholds are broken.
    """
    if precision is not None:
        return {task: fit_thresholds(panel, task, precision=precision).task.threshold for task in tasks}
    kept = {task: read_thresholds(panel, task) for task in tasks}
    for task in (task for task, found in kept.items() if found is None):
        logger.warning(
            f"{panel.root} has no threshold for the {task} task: every answer is for a person; find one with "
            f"mire threshold --panel {panel.root} --precision 0.95"
        )
    return {task: found.task.threshold if found else None for task, found in kept.items()}


def table(found: Mapping[Task, TaskThresholds]) -> str:
    """One line per task and label."""
    lines = [f"{'task':<9} {'target':>6} {'threshold':>9} {'coverage':>8} {'bound':>6} {'n':>5}  label"]
    for task, thresholds in found.items():
        for label, row in {"(all)": thresholds.task, **thresholds.labels}.items():
            figures = f"{row.threshold:9.4f} {row.coverage:>8.1%} {row.bound:6.3f}" if row.threshold else " " * 25
            reached = "" if row.threshold else ": no threshold reaches it"
            lines.append(f"{task:<9} {thresholds.precision:6.3g} {figures} {row.n:>5}  {label}{reached}")
    return "\n".join(lines)
