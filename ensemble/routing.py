"""How often the router picked the right task, where a label tells which one that is."""

from collections.abc import Sequence
from dataclasses import dataclass

from mire.labels import TASKS, Task, Taxonomy
from mire.samples import Sample
from router.route import route


@dataclass(frozen=True)
class Routing:
    """``counts[true task][picked task]``, and the samples that went to the wrong one."""

    counts: dict[Task, dict[Task, int]]
    misrouted: tuple[Sample, ...]


def routing(samples: Sequence[Sample], taxonomies: dict[Task, Taxonomy]) -> Routing:
    """Judge the router by the samples' labels; a label of both tasks, or of none, says nothing against it."""
    counts = {true: dict.fromkeys(TASKS, 0) for true in TASKS}
    misrouted: list[Sample] = []
    for sample in samples:
        picked = route(sample.prompt).task
        possible = [task for task, taxonomy in taxonomies.items() if sample.label in taxonomy]
        true = picked if picked in possible or len(possible) != 1 else possible[0]
        counts[true][picked] += 1
        if true != picked:
            misrouted.append(sample)
    return Routing(counts, tuple(misrouted))
