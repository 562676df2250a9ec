"""Paired statistics of systems on the same samples: bootstrap intervals of F1 and of its difference, McNemar's test."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ensemble.comparison.systems import TaskAnswers
from ensemble.voting.pooling import Array
from mire.labels import TASKS, Task
from mire.metrics import CONFIDENCE, interval, resampled_f1, scores

MEAN = "mean"
"""Stands for a task where both are meant."""


@dataclass(frozen=True)
class Row:
    """A system's weighted F1 on one task or the mean of both; with ``label`` its F1 on that label.

    ``f1`` is the mean over the runs and ``sd`` their standard deviation, None for one run; ``low`` and ``high`` bound
    its 95 % interval. The differences are to the first system, None in its own rows. ``mcnemar_p`` is there for two
    systems of one run each. A label has no intervals.
    """

    task: str
    label: str
    system: str
    n: int
    runs: int
    f1: float
    sd: float | None
    low: float | None = None
    high: float | None = None
    difference: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None
    mcnemar_p: float | None = None


@dataclass(frozen=True)
class Comparison:
    """The rows of each task and of the mean, then of each label, and what follows in one sentence."""

    rows: tuple[Row, ...]
    verdict: str


@dataclass(frozen=True)
class Measured:
    """One system: F1 per run (n_runs,), its resamples (n_runs, N_RESAMPLES), which answers are right (n_runs, n).

    A run's F1 is that of the samples it was asked. All systems are resampled alike, so that differences of resamples
    are paired.
    """

    f1: Array
    resamples: Array
    right: NDArray[np.bool_]

    @classmethod
    def of(cls, truth: Sequence[str], runs: Sequence[Sequence[str | None]], *, seed: int) -> "Measured":
        pairs = [_answered(truth, run) for run in runs]
        return cls(
            np.array([scores(asked, given).f1 for asked, given in pairs]),
            np.stack([resampled_f1(asked, given, seed=seed) for asked, given in pairs]),
            np.array([[true == given for true, given in zip(truth, run, strict=True)] for run in runs]),
        )

    @classmethod
    def mean(cls, parts: Sequence["Measured"]) -> "Measured":
        """The mean of tasks, run by run."""
        f1, resamples = (np.mean([getattr(part, name) for part in parts], axis=0) for name in ("f1", "resamples"))
        return cls(f1, resamples, np.hstack([part.right for part in parts]))

    def resampled_mean(self) -> Array:
        """Resamples of the runs' mean, (N_RESAMPLES,): runs are drawn with replacement, as samples are."""
        drawn = np.random.default_rng(0).integers(0, len(self.resamples), self.resamples.shape)
        return np.asarray(np.take_along_axis(self.resamples, drawn, axis=0).mean(axis=0))


def compare(tasks: Mapping[Task, TaskAnswers]) -> Comparison:
    """Every system against the first one."""
    parts: dict[str, dict[str, Measured]] = {
        # Another seed per task: the mean of both tasks adds their resamples, which must be independent.
        task: {name: Measured.of(answers.truth, runs, seed=TASKS.index(task)) for name, runs in answers.systems.items()}
        for task, answers in tasks.items()
    }
    if len(parts) > 1:
        first, second = parts.values()
        parts[MEAN] = {name: Measured.mean([first[name], second[name]]) for name in first}
    rows = [row for task, systems in parts.items() for row in _rows(task, systems)]
    rows += [row for task, answers in tasks.items() for row in _label_rows(task, answers)]
    return Comparison(tuple(rows), _verdict(list(parts.values())[-1]))


def _answered(truth: Sequence[str], run: Sequence[str | None]) -> tuple[list[str], list[str]]:
    """The right labels of what a run was asked, and its answers."""
    pairs = [(true, given) for true, given in zip(truth, run, strict=True) if given is not None]
    return [true for true, _ in pairs], [given for _, given in pairs]


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """The exact two-sided p-value of McNemar's test; the arrays (n,) say which answers are right."""
    from scipy.stats import binomtest

    n_first, n_second = int((first & ~second).sum()), int((second & ~first).sum())
    return float(binomtest(n_first, n_first + n_second).pvalue) if n_first + n_second else 1.0


def _rows(task: str, systems: Mapping[str, Measured]) -> Iterator[Row]:
    first = next(iter(systems.values()))
    for name, system in systems.items():
        own = interval(system.resampled_mean())
        row = replace(_row(task, "", name, system.right.shape[1], system.f1), low=own.low, high=own.high)
        yield row if system is first else _beside(first, system, row)


def _beside(first: Measured, system: Measured, row: Row) -> Row:
    versus = interval(_differences(first, system))
    return replace(
        row,
        difference=_change(first.f1, system.f1),
        difference_low=versus.low,
        difference_high=versus.high,
        mcnemar_p=_p(first, system),
    )


def _row(task: str, label: str, system: str, n: int, f1: Array) -> Row:
    sd = float(f1.std(ddof=1)) if len(f1) > 1 else None
    return Row(task, label, system, n, len(f1), float(f1.mean()), sd)


def _change(first: Array, second: Array) -> float:
    return float(second.mean() - first.mean())


def _differences(first: Measured, second: Measured) -> Array:
    """Resamples of the difference of their means, (N_RESAMPLES,)."""
    return second.resampled_mean() - first.resampled_mean()


def _p(first: Measured, second: Measured) -> float | None:
    """None with several runs: they answer the same samples, and their answers are no independent pairs."""
    return mcnemar(first.right[0], second.right[0]) if len(first.f1) == len(second.f1) == 1 else None


def _label_rows(task: Task, answers: TaskAnswers) -> Iterator[Row]:
    """Each label's F1, the most frequent label first; the runs are those that were asked a sample of it."""
    counts = Counter(answers.truth).most_common()
    labels = [label for label, _ in counts]
    f1 = {
        name: np.array([_f1_by_label(*_answered(answers.truth, run), labels) for run in runs])
        for name, runs in answers.systems.items()
    }
    first = next(iter(f1))
    for index, (label, n) in enumerate(counts):
        columns = {name: each[~np.isnan(each[:, index]), index] for name, each in f1.items()}
        for name, column in columns.items():
            change = None if name == first else _change(columns[first], column)
            yield replace(_row(task, label, name, n, column), difference=change)


def _f1_by_label(truth: Sequence[str], run: Sequence[str], labels: Sequence[str]) -> Array:
    """F1 per label, (n_labels,); NaN for a label that no sample has."""
    from sklearn.metrics import f1_score

    f1 = f1_score(truth, run, labels=labels, average=None, zero_division=0.0)
    return np.where(np.isin(labels, truth), f1, np.nan)


def _verdict(systems: Mapping[str, Measured]) -> str:
    """Which systems differ from the first beyond noise, by interval and McNemar's test with Bonferroni's correction."""
    (name, first), *others = systems.items()
    if not others:
        return "one system: nothing to compare it with"
    error = (1 - CONFIDENCE) / len(others)
    found = []
    for other, system in others:
        bounds, p = interval(_differences(first, system), 1 - error), _p(first, system)
        if not bounds.low <= 0 <= bounds.high and (p is None or p < error):
            change = _change(first.f1, system.f1)
            found.append(f"{other} is {'better' if change > 0 else 'worse'} than {name} by {abs(change):.3f}")
    return "; ".join(found) or f"no difference beyond noise between {name} and {', '.join(map(str, dict(others)))}"
