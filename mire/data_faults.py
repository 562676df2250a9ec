"""Find every fault of a data file and its pictures."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from mire.errors import DataError, printable, shortened
from mire.folds import twins
from mire.images import NO_PICTURE, load_or_fallback
from mire.labels import TASKS
from mire.privacy.masking import mask
from mire.samples import Sample, scan
from mire.settings import Settings
from mire.tables.columns import find_columns

MAX_TWINS_SHOWN = 20
N_SHOWN = 3
"""Samples whose reading is shown."""


def report_faults(data: Path, images: Path, settings: Settings, out: TextIO) -> None:
    """Write how the first samples were read, every fault, the twins, then how many samples each label has.

    Raises:
        DataError: the file has a fault, or cannot be read at all.
    """
    samples, refused = scan(data, images, max_decoded_pixels=settings.max_decoded_pixels)
    found = [*refused, *sample_faults(samples, settings)]
    labels = Counter(sample.label or "(no label)" for sample in samples)
    for line in (*_readings(samples), *found):
        out.write(f"{printable(line)}\n")
    pairs = list(twins(samples))
    for left, right, reason in pairs[:MAX_TWINS_SHOWN]:
        out.write(f"note: records {samples[left].number} and {samples[right].number} {reason}; one fold holds both\n")
    if len(pairs) > MAX_TWINS_SHOWN:
        out.write(f"note: {len(pairs) - MAX_TWINS_SHOWN} more pairs of twins\n")
    out.write(f"{len(samples)} samples, {len(labels)} labels: ")
    out.write(", ".join(f"{printable(name)} {count}" for name, count in labels.most_common()) + "\n")
    if found:
        raise DataError(f"{data}: {len(found)} faults, listed above; {len(refused)} of them stop a prediction")


def _readings(samples: Sequence[Sample]) -> Iterator[str]:
    """How the first samples were read, in one line each; private text is masked."""
    if samples and "instruction" not in samples[0].row:
        with suppress(DataError):  # ShareGPT has no such columns
            yield f"note: {find_columns(tuple(samples[0].row))}"
    for sample in samples[:N_SHOWN]:
        said = " | ".join(f"{turn.speaker}: {shortened(mask(turn.text))}" for turn in sample.turns)
        pictures = ", ".join(path.name for path in sample.images)
        yield (
            f"note: record {sample.number}, id {sample.id!r}, label {sample.label!r}: "
            f"{said or 'no dialogue'}; pictures: {pictures or 'none'}"
        )


def sample_faults(samples: Sequence[Sample], settings: Settings) -> Iterator[str]:
    """One line per fault that does not stop a prediction, but degrades it or breaks training."""
    known = {label for task in TASKS for label in settings.taxonomy(task).labels}
    for sample in samples:
        where = f"record {sample.number}, id {sample.id!r}"
        yield from (f"{where}: {problem}" for problem in sample.problems)
        if not sample.images and not any(turn.text.strip() for turn in sample.turns):
            yield f"{where}: neither a picture nor any dialogue text"
        if sample.label is not None and sample.label not in known:
            yield f"{where}: {sample.label!r} is not a live label; name labels of your own with --config"
        for path in sample.images:
            # A refused picture is among the problems already; decoding finds faults that the header does not show.
            if path != NO_PICTURE and (problem := load_or_fallback(path)[1]):
                yield f"{where}: {problem}"
