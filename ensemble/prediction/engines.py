"""Where the work is done: in this process, in one process per device, or on a Ray cluster."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Protocol

from ensemble.prediction.worker import Answered, Job, Loaded, Worker
from ensemble.prediction.workload import Chunk
from mire.errors import SettingsError, missing_package


class Engine(Protocol):
    """Answers chunks. Which engine it is changes neither the chunks nor the answers."""

    @property
    def loaded(self) -> Loaded:
        """What was loaded, and on which device."""

    def answers(self, chunks: Iterable[Chunk]) -> Iterator[tuple[Chunk, Answered]]:
        """Each chunk with its answers, as soon as it is finished."""


@dataclass(frozen=True)
class Local:
    """The engine of this process."""

    worker: Worker

    @property
    def loaded(self) -> Loaded:
        return self.worker.loaded

    def answers(self, chunks: Iterable[Chunk]) -> Iterator[tuple[Chunk, Answered]]:
        for chunk in chunks:
            yield chunk, self.worker.answer(chunk)


@dataclass(frozen=True)
class EngineOptions:
    """The engine of the command line's choice: ``devices`` processes, or Ray with ``workers`` at ``address``."""

    ray: bool = False
    devices: int = 1
    workers: int | None = None
    address: str | None = None

    def check(self) -> None:
        """Refuse early what could not be opened later.

        Raises:
            SettingsError: Ray is asked for and not installed.
        """
        if self.ray and find_spec("ray") is None:
            raise SettingsError(missing_package("--engine ray", "ray", "ray"))

    @contextmanager
    def opened(self, job: Job) -> Iterator[Engine]:
        """The engine with the job's panel loaded; it ends with the context.

        Raises:
            MireError: the panel cannot be loaded, there are fewer devices, or Ray is not installed.
        """
        if self.ray:
            from ensemble.prediction.ray_workers import cluster

            with cluster(job, address=self.address, n_workers=self.workers) as pool:
                yield pool
        elif self.devices > 1:
            from ensemble.prediction.process_workers import processes

            with processes(job, self.devices) as pool:
                yield pool
        else:
            yield Local(job.worker())
