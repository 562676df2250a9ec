"""Drift: a panel's current answers compared with its cross-fitted out-of-fold answers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from ensemble.decisions.scores_file import Scored
from ensemble.decisions.threshold_file import read_thresholds
from ensemble.decisions.thresholds import out_of_fold_answers
from ensemble.voting.pooling import Array
from mire.labels import Task
from mire.metrics import Interval, wilson
from mire.panel_folder import PanelFolder

ERROR_RATE = 0.01
"""Chance of an alarm although nothing has changed, for one file: it is divided among the tests."""
LEAST_CHANGE = 0.1
"""Distance, from 0 to 1, below which a change is no drift: with many answers every difference is significant."""
N_SHUFFLES = 9999
N_GREW, N_EXAMPLES = 5, 5


@dataclass(frozen=True)
class ChangeTest:
    """A change from 0 (none) to 1, the chance of at least this one if nothing has changed, and whether it is drift."""

    distance: float
    p_value: float
    drifted: bool


@dataclass(frozen=True)
class Share:
    """A share of the answers now, its 95 % interval, and what it was before; None where that is not known."""

    now: float
    interval: Interval
    before: float | None = None


@dataclass(frozen=True)
class Grown:
    """A label's share of the answers before and now, and ids of answers with it, the least sure first."""

    label: str
    before: float
    now: float
    examples: tuple[str, ...]


@dataclass(frozen=True)
class TaskDrift:
    """One task's comparison; ``n_before`` out-of-fold answers are the reference.

    ``mix_before`` and ``mix_now`` hold each label's share of the answers, in the order of ``labels``. ``accuracy`` is
    estimated from the probabilities, less what they were off by before. ``unlike`` (anything seen), ``fallback`` and
    ``degraded`` are None where the file does not tell.
    """

    task: Task
    n_before: int
    n_now: int
    labels: tuple[str, ...]
    mix_before: tuple[float, ...]
    mix_now: tuple[float, ...]
    probabilities_before: tuple[float, ...]
    probabilities_now: tuple[float, ...]
    mix: ChangeTest
    sureness: ChangeTest
    grown: tuple[Grown, ...]
    accuracy: Share
    review: Share
    unlike: Share | None
    fallback: Share | None
    degraded: Share | None

    @property
    def drifted(self) -> bool:
        return self.mix.drifted or self.sureness.drifted

    def line(self) -> str:
        """One line for a terminal or a mail of cron."""
        what = [name for name, test in (("labels", self.mix), ("probabilities", self.sureness)) if test.drifted]
        accuracy = self.accuracy
        return (
            f"{self.task}: {' and '.join(what) + ' drifted' if what else 'no drift'}, {self.n_now} answers; "
            f"labels {self.mix.distance:.2f} (p {self.mix.p_value:.2g}), probabilities {self.sureness.distance:.2f} "
            f"(p {self.sureness.p_value:.2g}); accuracy about {accuracy.now:.2f} "
            f"({accuracy.interval.low:.2f} to {accuracy.interval.high:.2f}), was {accuracy.before:.2f}; "
            f"for review {self.review.now:.0%}"
        )


def find_drift(panel: PanelFolder, scored: Sequence[Scored]) -> list[TaskDrift]:
    """Each task's comparison, of those that the answers belong to.

    Raises:
        PanelError: as ``read_out_of_fold_votes``.
    """
    by_task = {task: [one for one in scored if one.task == task] for task in dict.fromkeys(one.task for one in scored)}
    error = ERROR_RATE / (2 * len(by_task))
    return [_task_drift(panel, task, members, error) for task, members in by_task.items()]


def mix_test(before: NDArray[np.int64], now: NDArray[np.int64], error: float) -> ChangeTest:
    """Compare label counts (n_labels,) by half the sum of the shares' differences; the chance is by permutation.

    Under no change each split of all answers into before and now is as likely: a multivariate hypergeometric draw.
    """
    both, n_now = before + now, int(now.sum())
    draws = np.random.default_rng(0).multivariate_hypergeometric(both, n_now, N_SHUFFLES, method="marginals")
    shuffled = _distance(both - draws, draws)
    found = float(_distance(before, now))
    p_value = (1 + int((shuffled >= found - 1e-12).sum())) / (1 + N_SHUFFLES)
    return ChangeTest(found, p_value, p_value < error and found >= LEAST_CHANGE)


def sureness_test(before: Array, now: Array, error: float) -> ChangeTest:
    """Compare probabilities, (n_before,) and (n_now,), by the two-sample test of Kolmogorov and Smirnov."""
    from scipy.stats import ks_2samp

    found = ks_2samp(before, now)
    distance, p_value = float(found.statistic), float(found.pvalue)
    return ChangeTest(distance, p_value, p_value < error and distance >= LEAST_CHANGE)


def estimated_accuracy(before: Array, right: NDArray[np.bool_], now: Array) -> Share:
    """The mean probability now, plus what the share of right answers was above it before; with its 95 % interval.

    It holds as long as an answer of some probability is right as often as before.
    """
    gap = right - before
    middle = float(np.clip(now.mean() + gap.mean(), 0, 1))
    deviation = sqrt(now.var() / len(now) + gap.var() / len(gap))
    half = NormalDist().inv_cdf(0.975) * deviation
    return Share(middle, Interval(max(middle - half, 0.0), min(middle + half, 1.0)), float(right.mean()))


def _distance(before: NDArray[np.int64], now: NDArray[np.int64]) -> Array:
    """Total variation distance of counts over the last axis."""
    shares = before / before.sum(axis=-1, keepdims=True), now / now.sum(axis=-1, keepdims=True)
    return np.asarray(np.abs(shares[0] - shares[1]).sum(axis=-1) / 2)


def _task_drift(panel: PanelFolder, task: Task, scored: Sequence[Scored], error: float) -> TaskDrift:
    taxonomy = panel.answered(task)
    before = out_of_fold_answers(panel, task)
    probability, answers, right = before.probability, before.answers, before.right
    now = np.array([one.probability for one in scored])
    n_labels = len(taxonomy.labels)
    counts = np.bincount(answers, minlength=n_labels)
    counts_now = np.bincount([taxonomy.index(one.label) for one in scored], minlength=n_labels)
    mix, mix_now = counts / counts.sum(), counts_now / counts_now.sum()
    thresholds = read_thresholds(panel, task)
    least = thresholds and (thresholds.task.threshold or float("inf"))
    return TaskDrift(
        task=task,
        n_before=len(answers),
        n_now=len(scored),
        labels=taxonomy.labels,
        mix_before=tuple(mix.tolist()),
        mix_now=tuple(mix_now.tolist()),
        probabilities_before=tuple(probability.tolist()),
        probabilities_now=tuple(now.tolist()),
        mix=mix_test(counts, counts_now, error),
        sureness=sureness_test(probability, now, error),
        grown=_grown(taxonomy.labels, mix, mix_now, scored),
        accuracy=estimated_accuracy(probability, right, now),
        review=_share(
            (one.review for one in scored), float(((probability < least) | before.unlike).mean()) if least else None
        ),
        unlike=_known_share([one.unlike for one in scored], float(before.unlike.mean())),
        fallback=_known_share([one.fallback for one in scored]),
        degraded=_known_share([one.degraded for one in scored]),
    )


def _grown(labels: Sequence[str], before: Array, now: Array, scored: Sequence[Scored]) -> tuple[Grown, ...]:
    """The labels whose shares grew most."""
    order = [index for index in np.argsort(before - now, kind="stable")[:N_GREW] if now[index] > before[index]]
    unsure_first = sorted(scored, key=lambda one: one.probability)
    return tuple(
        Grown(
            label=labels[index],
            before=float(before[index]),
            now=float(now[index]),
            examples=tuple(one.id for one in unsure_first if one.label == labels[index])[:N_EXAMPLES],
        )
        for index in order
    )


def _share(flags: Iterable[bool], before: float | None = None) -> Share:
    values = list(flags)
    return Share(sum(values) / len(values), wilson(sum(values), len(values)), before)


def _known_share(flags: Sequence[bool | None], before: float | None = None) -> Share | None:
    known = [flag for flag in flags if flag is not None]
    return _share(known, before) if known else None
