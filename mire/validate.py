"""Say what is wrong with a data file before hours are spent on it.

python -m mire.validate --data train.json --images images
"""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence

from mire.cli import add_data, parser, run
from mire.errors import DataError
from mire.images import load_image
from mire.labels import TASKS, builtin_taxonomy
from mire.samples import Sample, read_samples

MAX_SHOWN = 50


def faults(samples: Sequence[Sample]) -> Iterator[str]:
    """One line for each fault that lets a prediction run, but degrades it or breaks training."""
    known = {label for task in TASKS for label in builtin_taxonomy(task).labels}
    for number, sample in enumerate(samples, start=1):
        where = f"record {number}, id {sample.id!r}"
        yield from (f"{where}: {problem}" for problem in sample.problems)
        if sample.label is not None and sample.label not in known:
            yield f"{where}: {sample.label!r} is no live label of the challenge"
        for path in sample.images:
            if path.is_file():
                try:
                    load_image(path)
                except DataError as error:
                    yield f"{where}: {error}"


def main(argv: Sequence[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    options = parser("mire.validate", "Check a data file and its pictures.")
    add_data(options)
    chosen = options.parse_args(argv)
    samples = read_samples(chosen.data, chosen.images)
    found = list(faults(samples))
    labels = Counter(sample.label or "(no label)" for sample in samples)
    for line in found[:MAX_SHOWN]:
        sys.stdout.write(f"{line}\n")
    sys.stdout.write(f"{len(samples)} samples, {len(labels)} labels: ")
    sys.stdout.write(", ".join(f"{name} {count}" for name, count in labels.most_common()) + "\n")
    if found:
        raise DataError(
            f"{chosen.data}: {len(found)} faults, listed above"
            + (f" (the first {MAX_SHOWN})" if len(found) > MAX_SHOWN else "")
        )


if __name__ == "__main__":
    raise SystemExit(run(main))
