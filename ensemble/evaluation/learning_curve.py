"""How F1 grows with the examples per label: the voters that train quickly learn from nested draws of the samples.

The curve is computed when a panel is trained, since the samples are there then, and is kept in the panel.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict

import numpy as np
from sklearn.metrics import f1_score

from ensemble.panel import Votes, pool
from ensemble.report.ablation_result import CurvePoint, ExamplesFigures, LearningCurve
from ensemble.voting.fitting import equal_weights
from ensemble.voting.pooling import winners
from experts.registry import train_voter
from mire.atomic_files import read_model, write_text
from mire.errors import PanelError
from mire.labels import Task, Taxonomy
from mire.metrics import interval, resampled_f1, scores
from mire.panel_folder import PanelFolder
from mire.samples import Sample
from mire.settings import Settings
from mire.votes import Vote

SIZES = (0, 1, 2, 5, 10)
"""Examples per label of the points before the last, which has all of them."""
N_DRAWS = 2
"""Folds that are held out in turn, each with one draw of the others: it bounds the time."""


def first_of_each(samples: Sequence[Sample], n_each: int, *, seed: int) -> list[Sample]:
    """At most ``n_each`` samples of every label in a random order; more of them include the fewer."""
    by_label: dict[str, list[Sample]] = {}
    for index in np.random.default_rng(seed).permutation(len(samples)):
        by_label.setdefault(str(samples[index].label), []).append(samples[index])
    return [sample for own in by_label.values() for sample in own[:n_each]]


def write_learning_curve(
    panel: PanelFolder, task: Task, samples: Sequence[Sample], folds: Mapping[str, int], votes: Votes
) -> None:
    """Draw a task's curve and keep it in the panel; one that was there goes. Arguments as ``learning_curve``."""
    panel.learning_curve(task).unlink(missing_ok=True)
    if votes and len(set(folds.values())) > 1:
        curve = learning_curve(panel.settings(), task, samples, folds, votes)
        write_text(panel.learning_curve(task), curve.model_dump_json(indent=1) + "\n")


def read_learning_curve(panel: PanelFolder, task: Task) -> LearningCurve | None:
    """The curve that training kept; None where it kept none.

    Raises:
        PanelError: it is broken.
    """
    path = panel.learning_curve(task)
    return read_model(path, LearningCurve, next_step="train the panel again") if path.is_file() else None


def learning_curve(
    settings: Settings, task: Task, samples: Sequence[Sample], folds: Mapping[str, int], votes: Votes
) -> LearningCurve:
    """The curve of some voters together.

    ``folds`` holds each sample's fold; ``votes`` are the voters' out-of-fold ones, which make the last point.
    """
    taxonomy = settings.taxonomy(task)
    draws = [
        ([each for each in samples if folds[each.id] != fold], [each for each in samples if folds[each.id] == fold])
        for fold in range(min(N_DRAWS, len(set(folds.values()))))
    ]
    answers: dict[int | None, list[str]] = {}
    for most in (size for size in SIZES if size < _commonest(draws[0][0])):
        cast = {name: _drawn_votes(name, most, draws, taxonomy, settings) for name in votes}
        if any(vote for own in cast.values() for vote in own):
            answers[most] = _together(cast, taxonomy, settings)
    held_out = [sample for _, test in draws for sample in test]
    answers[None] = _together(_of(held_out, votes), taxonomy, settings)
    return LearningCurve(
        voters=tuple(votes),
        n=len(held_out),
        points=tuple(_points([str(sample.label) for sample in held_out], answers)),
        labels=tuple(_labels(samples, _together(_of(samples, votes), taxonomy, settings), taxonomy)),
    )


def _commonest(samples: Sequence[Sample]) -> int:
    return max(Counter(sample.label for sample in samples).values())


def _drawn_votes(
    name: str,
    n_each: int,
    draws: Sequence[tuple[Sequence[Sample], Sequence[Sample]]],
    taxonomy: Taxonomy,
    settings: Settings,
) -> list[Vote | None]:
    """One voter's votes on each draw's held-out samples; None where it cannot learn from so few."""
    votes: list[Vote | None] = []
    for seed, (known, test) in enumerate(draws):
        cast: list[Vote | None] = [None] * len(test)
        with suppress(PanelError):
            few = first_of_each(known, n_each, seed=seed)
            cast = train_voter(name, few, taxonomy=taxonomy, settings=settings).vote(test)
        votes += cast
    return votes


def _of(samples: Sequence[Sample], votes: Votes) -> Votes:
    """The votes on some samples, in their order."""
    known = {name: {vote.sample_id: vote for vote in own if vote} for name, own in votes.items()}
    return {name: [own.get(sample.id) for sample in samples] for name, own in known.items()}


def _together(votes: Votes, taxonomy: Taxonomy, settings: Settings) -> list[str]:
    """The label of each sample's votes, pooled with equal weights."""
    pooled = pool(votes, equal_weights(votes, settings.vote), len(taxonomy.labels))
    return [taxonomy.labels[index] for index in winners(pooled)]


def _points(truth: Sequence[str], answers: Mapping[int | None, Sequence[str]]) -> Iterator[CurvePoint]:
    before = None
    for most, given in answers.items():
        resamples = resampled_f1(truth, given)
        yield CurvePoint(
            most=most,
            f1=scores(truth, given).f1,
            **asdict(interval(resamples)),
            versus_before=None if before is None else interval(resamples - before),
        )
        before = resamples


def _labels(samples: Sequence[Sample], answers: Sequence[str], taxonomy: Taxonomy) -> Iterator[ExamplesFigures]:
    truth = [str(sample.label) for sample in samples]
    figures = f1_score(truth, answers, labels=taxonomy.labels, average=None, zero_division=0.0)
    for name, f1 in zip(taxonomy.labels, figures, strict=True):
        n = truth.count(name)
        yield ExamplesFigures(name=name, n=n, f1=float(f1) if n else None)
