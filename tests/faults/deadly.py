"""Workers that break on one sample, to be loaded in processes of their own."""

import os
import signal
from dataclasses import dataclass

from ensemble.panel import Panel
from ensemble.prediction.worker import Answered, Job, Worker
from ensemble.prediction.workload import Chunk

POISON = "s00007"


class Deadly(Worker):
    """Dies as a fault in a library's native code would let it die."""

    def answer(self, chunk: Chunk) -> Answered:
        if any(sample.id == POISON for sample in chunk.samples):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().answer(chunk)


@dataclass(frozen=True)
class DeadlyJob(Job):
    def worker(self) -> Worker:
        return Deadly(Panel.load(self.panel, self.tasks))
