"""How long an answer takes: a few samples go through a trained panel, with nothing kept from before."""

import time
from collections.abc import Sequence

from ensemble.panel import TaskPanel
from mire.cache import empty_cache
from mire.samples import Sample

N_TIMED = 32


def pace(panel: TaskPanel, samples: Sequence[Sample]) -> dict[str, float]:
    """Milliseconds a sample of each voter, on this machine; pictures are read as if for the first time.

    The first sample loads what is loaded on demand and is not timed, unless it is the only one.
    """
    first, timed = samples[:1], samples[1 : N_TIMED + 1] or samples[:1]
    taken: dict[str, float] = {}
    with empty_cache():
        for voter in panel.voters:
            voter.vote(first)
            started = time.monotonic()
            voter.vote(timed)
            taken[voter.name] = round(1000 * (time.monotonic() - started) / len(timed), 2)
    return taken
