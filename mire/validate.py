"""Say what is wrong with a data file before hours are spent on it.

    python -m mire.validate --data train.json --images images [--config mine.yaml]

With ``--config`` the labels and the limit on pictures are those of its settings, else the challenge's.
"""

import sys
from collections import Counter
from collections.abc import Collection, Iterator, Sequence

from mire.cli import add_data, parser, run
from mire.errors import DataError
from mire.images import MAX_DECODED_PIXELS, NO_PICTURE, load_or_fallback
from mire.labels import TASKS, builtin_taxonomy
from mire.samples import Sample, scan
from mire.settings import load_settings


def faults(samples: Sequence[Sample], known: Collection[str]) -> Iterator[str]:
    """One line for each fault that lets a prediction run, but degrades it or breaks training.

    ``known`` are the live labels of both tasks.
    """
    for sample in samples:
        where = f"record {sample.number}, id {sample.id!r}"
        yield from (f"{where}: {problem}" for problem in sample.problems)
        if not sample.images and not any(turn.text.strip() for turn in sample.turns):
            yield f"{where}: there is neither a picture nor a word of a dialogue"
        if sample.label is not None and sample.label not in known:
            yield f"{where}: {sample.label!r} is no live label"
        for path in sample.images:
            # A refused one is among the problems; decoding finds what the first bytes do not show.
            if path != NO_PICTURE and (problem := load_or_fallback(path)[1]):
                yield f"{where}: {problem}"


def main(argv: Sequence[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    options = parser("mire.validate", "Check a data file and its pictures; every fault is listed.")
    add_data(options)
    options.add_argument("--config", help="check against the labels and limits of this configuration or YAML file")
    chosen = options.parse_args(argv)
    settings = load_settings(chosen.config) if chosen.config else None
    taxonomies = [settings.taxonomy(task) if settings else builtin_taxonomy(task) for task in TASKS]
    limit = settings.max_decoded_pixels if settings else MAX_DECODED_PIXELS
    samples, refused = scan(chosen.data, chosen.images, max_decoded_pixels=limit)
    found = [*refused, *faults(samples, {label for taxonomy in taxonomies for label in taxonomy.labels})]
    labels = Counter(sample.label or "(no label)" for sample in samples)
    for line in found:
        sys.stdout.write(f"{line}\n")
    sys.stdout.write(f"{len(samples)} samples, {len(labels)} labels: ")
    sys.stdout.write(", ".join(f"{name} {count}" for name, count in labels.most_common()) + "\n")
    if found:
        raise DataError(f"{chosen.data}: {len(found)} faults, listed above; {len(refused)} of them stop a prediction")


if __name__ == "__main__":
    raise SystemExit(run(main))
