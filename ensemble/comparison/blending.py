"""Blend files of distributions: their plain mean, or a vote that is fitted on labels and judged out of fold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ensemble.comparison.paired import Comparison, compare
from ensemble.comparison.systems import TaskAnswers
from ensemble.comparison.tables import as_text, summary
from ensemble.prediction.submission_scores import read_truth
from ensemble.voting.distributions import Distribution, Labels, Spent, read_distributions
from ensemble.voting.fitting import cross_fit_parts, equal_weights, fit_weights
from ensemble.voting.oof_votes import OutOfFoldVotes
from ensemble.voting.pooling import Array, winners
from ensemble.voting.weights import Weights
from mire.budget import MAX_CALLS, MAX_OUTPUT_TOKENS, MAX_PARAMETERS
from mire.errors import DataError, quoted
from mire.labels import TASKS, Task
from mire.metrics import scores

MEAN, FITTED = "plain mean", "fitted blend"
"""What stands beside the files' names in a comparison."""
RULE = "log_linear"


@dataclass(frozen=True)
class Blend:
    """One distribution per sample; where there are labels, each task's weights and how good each system is."""

    labels: Labels
    rows: tuple[Distribution, ...]
    weights: Mapping[Task, Weights]
    comparison: Comparison | None = None


@dataclass(frozen=True)
class Stack:
    """What several files say of the same samples, in the first file's order: by id one distribution per file."""

    names: tuple[str, ...]
    labels: Labels
    rows: Mapping[str, tuple[Distribution, ...]]

    @classmethod
    def read(cls, paths: Sequence[Path], like: "Stack | None" = None) -> "Stack":
        """Read the files; ``like`` lends names and labels where they are other samples' files of the same systems.

        Raises:
            DataError: as ``read_distributions``; the files do not hold the same samples.
        """
        labels, first = read_distributions(paths[0], like.labels if like else None)
        others = [read_distributions(path, labels)[1] for path in paths[1:]]
        for path, other in zip(paths[1:], others, strict=True):
            _check_same(first, other, paths[0], path)
        names = like.names if like else tuple(map(str, paths))
        return cls(names, labels, {key: (row, *(other[key] for other in others)) for key, row in first.items()})

    @property
    def tasks(self) -> list[Task]:
        """Those that the samples belong to, in the order of ``TASKS``."""
        present = {row.task for row, *_ in self.rows.values()}
        return [task for task in TASKS if task in present]

    def ids(self, task: Task) -> tuple[str, ...]:
        return tuple(key for key, (row, *_) in self.rows.items() if row.task == task)

    def votes(self, task: Task) -> dict[str, Array]:
        """By file one distribution per sample of ``ids``, (n, n_labels)."""
        columns = zip(*(self.rows[key] for key in self.ids(task)), strict=True)
        return {
            name: np.array([[row.probabilities[label] for label in self.labels[task]] for row in rows])
            for name, rows in zip(self.names, columns, strict=True)
        }

    def blended(self, pooled: Mapping[Task, Array]) -> tuple[Distribution, ...]:
        """Distributions with the probabilities ``pooled``, (n, n_labels) for each task, in the order of ``ids``."""
        found = {
            key: _joined(self.rows[key], dict(zip(self.labels[task], row, strict=True)))
            for task in self.tasks
            for key, row in zip(self.ids(task), pooled[task].tolist(), strict=True)
        }
        return tuple(found[key] for key in self.rows)


def blend_files(paths: Sequence[Path], truth: Path | None = None, to: Sequence[Path] = ()) -> Blend:
    """The files' plain mean; with ``truth``, the labels of their samples, the blend that is fitted on these.

    The answer to a labelled sample comes from weights that were fitted on others; where there are files of other
    samples (``to``, in the order of ``paths``), the blend answers these, by weights that were fitted on all labels.
    A task of theirs that has no label is the plain mean.

    Raises:
        DataError: as ``Stack.read``; the labels are not those of the files, or of other samples.
    """
    stack = Stack.read(paths)
    if truth is None:
        means = {task: _mean(stack.votes(task)) for task in stack.tasks}
        return Blend(stack.labels, stack.blended(means), {})
    votes = _labelled(stack, truth)
    weights = {task: fit_weights(part, RULE) for task, part in votes.items()}
    pooled = {task: _cross_fitted(part) for task, part in votes.items()}
    comparison = compare(_systems(stack, votes, pooled))
    if to:
        stack = Stack.read(to, stack)
        new = {task: stack.votes(task) for task in stack.tasks}
        pooled = {task: weights[task].pool(part) if task in weights else _mean(part) for task, part in new.items()}
    return Blend(stack.labels, stack.blended(pooled), weights, comparison)


def report(blend: Blend) -> str:
    """How good each system is, what the files weigh, what they cost, and what follows."""
    lines = [as_text(summary(blend.comparison)), ""] if blend.comparison else []
    for task in dict.fromkeys(row.task for row in blend.rows):
        voters = blend.weights[task].voters.items() if task in blend.weights else ()
        weighed = ", ".join(f"{name} weighs {voter.weight:g}" for name, voter in voters)
        lines.append(f"{task}: {weighed or 'the plain mean of the files, as no label was given to fit weights on'}")
    return "\n".join([*lines, cost_text(blend.rows), *([blend.comparison.verdict] if blend.comparison else [])])


def cost_text(rows: Sequence[Distribution]) -> str:
    """What the blend costs, beside what the challenge allows."""
    rule = f"{MAX_CALLS} calls and {MAX_OUTPUT_TOKENS} output tokens per sample, below {MAX_PARAMETERS:,} parameters"
    told = [row.spent for row in rows if row.spent]
    if len(told) < len(rows):
        return f"a blend costs what its files cost together; they do not all tell it, the challenge allows {rule}"
    calls, tokens, parameters = (max(numbers) for numbers in zip(*told, strict=True))
    few, small = calls <= MAX_CALLS and tokens <= MAX_OUTPUT_TOKENS, parameters < MAX_PARAMETERS
    kept = ("kept" if small else "BROKEN unless the panels share a base") if few else "BROKEN by this blend"
    return (
        f"the files together cost at most {calls} calls and {tokens} output tokens per sample and {parameters:,} "
        f"parameters, what they share counted each time; the challenge allows {rule}: {kept}"
    )


def _check_same(first: Mapping[str, Distribution], other: Mapping[str, Distribution], path: Path, beside: Path) -> None:
    """Refuse two files of other samples; name the row that only one of them has."""
    for rows, others, lacks in ((first, other, beside), (other, first, path)):
        odd = [row for key, row in rows.items() if key not in others or others[key].task != row.task]
        if odd:
            raise DataError(
                f"{odd[0].where}: {lacks} lacks this {odd[0].task} sample, {quoted(odd[0].id)}, and {len(odd) - 1} "
                "more; predict the same data with every panel"
            )


def _labelled(stack: Stack, truth: Path) -> dict[Task, OutOfFoldVotes]:
    """Every task's distributions with the right labels.

    Raises:
        DataError: the files do not hold exactly the samples of ``truth``, or do not know a label.
    """
    right = {sample.id: str(sample.label) for sample in read_truth(truth)}
    if odd := sorted(right.keys() ^ stack.rows.keys()):
        raise DataError(
            f"{stack.names[0]} must hold exactly the samples of {truth}; {len(odd)} differ (first: {quoted(odd[0])}); "
            f"predict {truth} with --probabilities, and name files of other samples after --to"
        )
    for key, (row, *_) in stack.rows.items():
        if right[key] not in stack.labels[row.task]:
            raise DataError(
                f"{row.where}: {truth} labels {quoted(key)} {quoted(right[key])}, which is no {row.task} label of the "
                "file; correct the label, or train the panels for it"
            )
    return {
        task: OutOfFoldVotes(ids, np.array([stack.labels[task].index(right[key]) for key in ids]), votes, {})
        for task in stack.tasks
        for ids, votes in [(stack.ids(task), stack.votes(task))]
    }


def _cross_fitted(votes: OutOfFoldVotes) -> Array:
    """One distribution per sample by weights that were fitted on other samples, (n, n_labels)."""
    pooled = np.zeros_like(next(iter(votes.votes.values())))
    for scored, learned in cross_fit_parts(len(votes.ids)):
        weights = fit_weights(votes.rows(learned), RULE) if len(learned) else equal_weights(votes.votes, RULE)
        pooled[scored] = weights.pool(votes.rows(scored).votes)
    return pooled


def _systems(
    stack: Stack, votes: Mapping[Task, OutOfFoldVotes], pooled: Mapping[Task, Array]
) -> dict[Task, TaskAnswers]:
    """What each file, their mean and the fitted blend answer; the best file is first, to be compared with.

    It is the best on these very samples, which is to its advantage, not the blend's.
    """
    truths, answers = dict[Task, tuple[str, ...]](), dict[Task, dict[str, tuple[str, ...]]]()
    for task, part in votes.items():
        labels = np.array(stack.labels[task], dtype=object)
        systems = {**part.votes, MEAN: _mean(part.votes), FITTED: pooled[task]}
        truths[task] = tuple(labels[part.truth])
        answers[task] = {name: tuple(labels[winners(each)]) for name, each in systems.items()}
    f1 = {name: sum(scores(truth, answers[task][name]).f1 for task, truth in truths.items()) for name in stack.names}
    order = [*sorted(stack.names, key=lambda name: -f1[name]), MEAN, FITTED]
    return {
        task: TaskAnswers(truth, {name: (answers[task][name],) for name in order}) for task, truth in truths.items()
    }


def _mean(votes: Mapping[str, Array]) -> Array:
    return np.asarray(np.mean(list(votes.values()), axis=0))


def _joined(parts: Sequence[Distribution], probabilities: Mapping[str, float]) -> Distribution:
    """The blended answer to one sample: it costs what all parts cost, and is degraded where one of them is."""
    told = [part.spent for part in parts if part.spent]
    spent = Spent(*map(sum, zip(*told, strict=True))) if len(told) == len(parts) else None
    return Distribution(parts[0].id, parts[0].task, probabilities, any(part.degraded for part in parts), spent)
