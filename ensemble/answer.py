"""Answer samples chunk by chunk; what the journal has is not answered again."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from ensemble.panel import Panel
from mire.budget import Ledger
from mire.cli import say
from mire.errors import DataError
from mire.journal import Journal
from mire.progress import Progress
from mire.samples import Sample
from mire.votes import Prediction

CHUNK = 128
"""Samples that are voted on together: bounds memory, is what progress counts in, and what a kill can cost."""


@dataclass(frozen=True)
class Answer:
    """What is kept of a prediction. ``margin`` is how far the label's probability is ahead of the next one's."""

    label: str
    problems: tuple[str, ...]
    n_calls: int
    n_output_tokens: int
    margin: float

    @classmethod
    def of(cls, prediction: Prediction) -> "Answer":
        first, second = sorted(prediction.probabilities, reverse=True)[:2]
        return cls(
            label=prediction.label,
            problems=prediction.problems,
            n_calls=prediction.n_calls,
            n_output_tokens=prediction.n_output_tokens,
            margin=first - second,
        )


def answer(
    samples: Iterable[Sequence[Sample]],
    panel: Panel,
    journal: Journal,
    fingerprints: Mapping[str, str],
    ledger: Ledger,
    *,
    strict: bool,
) -> dict[str, Answer]:
    """Every sample's answer by id, from the open journal or fresh; ``samples`` come by task.

    Samples are put in the order of their ids first, so that neither the file's order nor an interruption
    changes which samples share a chunk. Each finished chunk is on the disk before the next one begins.

    Raises:
        DataError: ``strict``, and an answer is degraded.
    """
    kept = journal.finished(fingerprints)
    answers = {key: Answer(**{**body, "problems": tuple(body["problems"])}) for key, body in kept.items()}
    if answers:
        say(f"{len(answers)}/{len(fingerprints)} samples were answered before; going on")
    _refuse(answers, strict)
    progress = Progress(len(fingerprints), done=len(answers))
    for chunk in _chunks(samples):
        missing = [sample for sample in chunk if sample.id not in answers]
        if not missing:
            continue
        fresh = {prediction.sample_id: Answer.of(prediction) for prediction in panel.predict(missing, ledger)}
        _refuse(fresh, strict)
        journal.add({key: asdict(value) for key, value in fresh.items()}, fingerprints)
        answers |= fresh
        progress.add(len(fresh))
    return answers


def _chunks(groups: Iterable[Sequence[Sample]]) -> Iterator[Sequence[Sample]]:
    for group in groups:
        ordered = sorted(group, key=lambda sample: sample.id)
        for start in range(0, len(ordered), CHUNK):
            yield ordered[start : start + CHUNK]


def _refuse(answers: Mapping[str, Answer], strict: bool) -> None:
    degraded = [f"{key!r}: {value.problems[0]}" for key, value in answers.items() if value.problems]
    if strict and degraded:
        raise DataError(f"--strict: {len(degraded)} answers are degraded (first: sample {degraded[0]})")
