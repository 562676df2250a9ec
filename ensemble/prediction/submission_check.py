"""Whether a submission answers a test file: the same ids in the same order, each with a live label of its task."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ensemble.panel import by_task
from ensemble.prediction.submission import read_submission
from mire.errors import DataError, quoted
from mire.labels import TASKS, Task
from mire.samples import Sample, fault_text, read_samples
from mire.settings import Settings


def check_submission(data: Path, submission: Path, settings: Settings) -> dict[Task, int]:
    """The number of rows of each task.

    Raises:
        DataError: lists the submission's faults, or a file cannot be read.
    """
    samples, answers = read_samples(data), read_submission(submission)
    groups = by_task(samples, {task: settings.taxonomy(task) for task in TASKS})
    faults = [*_id_faults(samples, list(answers)), *_label_faults(groups, answers, settings)]
    if faults:
        raise DataError(fault_text(submission, faults))
    return {task: len(group) for task, group in groups.items()}


def _id_faults(samples: Sequence[Sample], ids: list[str]) -> Iterator[str]:
    asked = [sample.id for sample in samples]
    known, answered = set(asked), set(ids)
    yield from (f"the sample {quoted(key)} has no row" for key in asked if key not in answered)
    yield from (f"the id {quoted(key)} is none of the test file's" for key in ids if key not in known)
    if known == answered and asked != ids:
        first = next(number for number, pair in enumerate(zip(asked, ids, strict=True), start=1) if len(set(pair)) > 1)
        yield f"the rows stand in another order than the samples, from sample {first} on"


def _label_faults(
    groups: Mapping[Task, Sequence[Sample]], answers: Mapping[str, str], settings: Settings
) -> Iterator[str]:
    for task, group in groups.items():
        live = set(settings.taxonomy(task).labels)
        for sample in group:
            if sample.id in answers and answers[sample.id] not in live:
                answer = quoted(answers[sample.id])
                yield f"the answer to {quoted(sample.id)} must be a live {task} label, got {answer}"
