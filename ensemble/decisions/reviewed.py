"""What people said about a queue, merged into a training file."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from ensemble.decisions.review_queue import CHOICE, SAMPLE
from mire.atomic_files import write_text
from mire.errors import DataError, quoted
from mire.samples import Sample, named_pictures, read_samples


class _Annotation(BaseModel):
    """One person's work on one task; skipped if ``was_cancelled``."""

    completed_by: int | str | dict[str, Any] | None = None
    was_cancelled: bool = False
    result: list[dict[str, Any]]


class _Task(BaseModel):
    data: dict[str, Any]
    annotations: list[_Annotation]


@dataclass(frozen=True)
class Disagreement:
    """A sample on which labels differ: what the data file had, what people said by person, and what was written.

    Nothing (None) was written where the file had no label and people do not agree.
    """

    id: str
    before: str | None
    said: Mapping[str, str]
    written: str | None


def merge_reviewed(export: Path, data: Path, out: Path, *, replace: bool = False) -> tuple[int, list[Disagreement]]:
    """Write the labelled samples of ``data`` with people's labels, in the official format.

    Where people disagree, or contradict a label that the file has, the file's label stays, and the sample stands in
    ``NAME.disagreements.json`` beside ``out``. With ``replace`` what all people say replaces the file's label. Gives
    the number of samples written, and the disagreements.

    Raises:
        DataError: ``export`` is no JSON export of Label Studio, or names a sample that ``data`` lacks; or a file that
            is read would be overwritten.
    """
    for path in (export, data):
        if out.exists() and out.samefile(path):
            raise DataError(f"{out} is read here; name another file with --out")
    said, samples = read_export(export), read_samples(data)
    if unknown := said.keys() - {sample.id for sample in samples}:
        first = quoted(min(unknown))
        raise DataError(f"{export}: {len(unknown)} samples are not in {data} (first: {first}); name the queue's file")
    records: list[dict[str, Any]] = []
    differing: list[Disagreement] = []
    for sample in samples:
        voices = said.get(sample.id, {})
        label = _decided(sample, voices, replace)
        if len({sample.label or label, *voices.values()}) > 1:
            differing.append(Disagreement(sample.id, sample.label, voices, label))
        if label:
            records.append(_record(sample, label))
    write_text(out, json.dumps(records, ensure_ascii=False, indent=1) + "\n")
    listed = json.dumps([asdict(each) for each in differing], ensure_ascii=False, indent=1)
    write_text(out.with_suffix(".disagreements.json"), listed + "\n")
    return len(records), differing


def read_export(path: Path) -> dict[str, dict[str, str]]:
    """For each sample that somebody labelled the label that each person chose, by the person's number.

    Raises:
        DataError: it is no JSON export of a queue of ours.
    """
    try:
        tasks = TypeAdapter(list[_Task]).validate_json(path.read_bytes())
    except ValidationError as error:
        fault = f"{path} is no JSON export of Label Studio: {error.errors()[0]['msg']}"
        raise DataError(f"{fault}; export the project as JSON, not as JSON-MIN") from error
    said: dict[str, dict[str, str]] = {}
    for number, task in enumerate(tasks, start=1):
        if not isinstance(sample := task.data.get(SAMPLE), str):
            raise DataError(f"{path}: task {number} has no {SAMPLE!r}; name an export of what predict --review wrote")
        for annotation in (each for each in task.annotations if not each.was_cancelled):
            for label in map(_label, annotation.result):
                if label:
                    said.setdefault(sample, {})[_person(annotation)] = label
    return said


def _label(result: Mapping[str, Any]) -> str | None:
    """The label that one region of an annotation chooses; None for anything else that a project asks for."""
    value = result.get("value") if result.get("from_name") == CHOICE else None
    choices = value.get("choices") if isinstance(value, dict) else None
    return str(choices[0]) if isinstance(choices, list) and choices else None


def _person(annotation: _Annotation) -> str:
    who = annotation.completed_by
    return str(who.get("id") if isinstance(who, dict) else who)


def _decided(sample: Sample, said: Mapping[str, str], replace: bool) -> str | None:
    labels = set(said.values())
    if len(labels) == 1 and (replace or not sample.label):
        return labels.pop()
    return sample.label


def _record(sample: Sample, label: str) -> dict[str, Any]:
    return {"id": sample.id, "instruction": sample.prompt.text, "input": "", "output": label,
            "image": named_pictures(sample)}  # fmt: skip
