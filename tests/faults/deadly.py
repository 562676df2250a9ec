"""Workers that break on one sample, to be loaded in processes of their own."""

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass

from ensemble.panel import Panel
from ensemble.prediction.worker import Answered, Job, Worker
from mire.samples import Sample

POISON = "s00007"


class Deadly(Worker):
    """Dies as a fault in a library's native code would let it die."""

    def answer(self, samples: Sequence[Sample]) -> Answered:
        if any(sample.id == POISON for sample in samples):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().answer(samples)


@dataclass(frozen=True)
class DeadlyJob(Job):
    def worker(self) -> Worker:
        return Deadly(Panel.load(self.panel, self.tasks))
