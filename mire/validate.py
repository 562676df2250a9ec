"""Say what is wrong with a data file before hours are spent on it.

    python -m mire.validate --data train.json --images images [--config mine.yaml]

With ``--config`` the labels and the limit on pictures are those of its settings, else the challenge's.
"""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence

from mire.cli import add_config, add_data, parser, run
from mire.errors import DataError
from mire.images import NO_PICTURE, load_or_fallback
from mire.labels import TASKS
from mire.samples import Sample, scan
from mire.settings import Settings, load_settings


def faults(samples: Sequence[Sample], settings: Settings) -> Iterator[str]:
    """One line for each fault that lets a prediction run, but degrades it or breaks training."""
    known = {label for task in TASKS for label in settings.taxonomy(task).labels}
    for sample in samples:
        where = f"record {sample.number}, id {sample.id!r}"
        yield from (f"{where}: {problem}" for problem in sample.problems)
        if not sample.images and not any(turn.text.strip() for turn in sample.turns):
            yield f"{where}: there is neither a picture nor a word of a dialogue"
        if sample.label is not None and sample.label not in known:
            yield f"{where}: {sample.label!r} is no live label; labels of your own are named by --config"
        for path in sample.images:
            # A refused one is among the problems; decoding finds what the first bytes do not show.
            if path != NO_PICTURE and (problem := load_or_fallback(path)[1]):
                yield f"{where}: {problem}"


def main(argv: Sequence[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    options = parser("mire.validate", "Check a data file and its pictures; every fault is listed.")
    add_data(options)
    add_config(options)
    chosen = options.parse_args(argv)
    settings = load_settings(chosen.config, chosen.overrides)
    samples, refused = scan(chosen.data, chosen.images, max_decoded_pixels=settings.max_decoded_pixels)
    found = [*refused, *faults(samples, settings)]
    labels = Counter(sample.label or "(no label)" for sample in samples)
    for line in found:
        sys.stdout.write(f"{line}\n")
    sys.stdout.write(f"{len(samples)} samples, {len(labels)} labels: ")
    sys.stdout.write(", ".join(f"{name} {count}" for name, count in labels.most_common()) + "\n")
    if found:
        raise DataError(f"{chosen.data}: {len(found)} faults, listed above; {len(refused)} of them stop a prediction")


if __name__ == "__main__":
    raise SystemExit(run(main))
