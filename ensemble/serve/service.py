"""One panel that answers questions, from the page and from HTTP alike."""

import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from pathlib import Path

from ensemble.classify import Classification, Question
from ensemble.panel import Panel
from ensemble.serve.answers import Answer, answer
from ensemble.serve.batcher import Batcher, FullError
from ensemble.serve.limits import Limits, RefusedError
from ensemble.serve.metrics import Metrics
from ensemble.serve.questions import Posted
from experts.screen_text.reader import Reading
from experts.screen_text.voter import ScreenTextVoter
from mire.errors import DataError, MireError
from mire.images import picture_size
from mire.samples import Sample
from router.route import route


@dataclass(frozen=True)
class Outcome:
    """A classification, and what was read in the sample's first picture."""

    found: Classification
    reading: Reading | None


class Service:
    """Answers questions; those that come at the same time share one pass of the panel."""

    def __init__(self, panel: Panel, limits: Limits) -> None:
        self.panel, self.limits = panel, limits
        self.metrics = Metrics()
        self._batcher: Batcher[Outcome] = Batcher(
            self._pass,
            max_batch=limits.max_batch,
            max_waiting=limits.max_waiting,
            weigh=_pixels,
            max_weight=limits.max_pixels,
        )
        self.metrics.waiting.set_function(lambda: self._batcher.n_waiting)

    def classify(self, posted: Posted) -> Answer:
        """Answer one request.

        Raises:
            RefusedError: a question that cannot be asked or answered (422), too many waiting (429), too slow (503).
        """
        with tempfile.TemporaryDirectory(prefix="mire-") as folder:
            sample = self._sample(posted.question_in(Path(folder), self.limits))
            (outcome,) = self._outcomes([sample])
        part = self.panel.tasks[outcome.found.task]
        return answer(outcome.found, part.taxonomy, outcome.reading, part.thresholds)

    def classify_many(self, samples: Sequence[Sample]) -> Iterator[tuple[str, Classification]]:
        """Id and classification of many samples, a batch at a time; where the queue is full it waits for room.

        Raises:
            RefusedError: as ``classify``.
        """
        size = min(self.limits.max_batch, self.limits.max_waiting)
        for start in range(0, len(samples), size):
            chunk = samples[start : start + size]
            outcomes = self._outcomes(chunk, patience_seconds=self.limits.timeout_seconds)
            for sample, outcome in zip(chunk, outcomes, strict=True):
                yield sample.id, outcome.found

    def close(self) -> None:
        self._batcher.close()

    def _sample(self, question: Question) -> Sample:
        try:
            sample = self.panel.sample(question)
        except MireError as error:
            raise RefusedError(422, str(error)) from error
        if (task := route(sample.prompt, self.panel.taxonomies).task) not in self.panel.tasks:
            raise RefusedError(422, f"this panel has no {task} experts")
        return sample

    def _outcomes(self, samples: Sequence[Sample], *, patience_seconds: float = 0.0) -> list[Outcome]:
        try:
            futures = self._batcher.submit(samples, patience_seconds=patience_seconds)
        except FullError as error:
            raise RefusedError(429, f"busy: {error}; try again") from error
        deadline = time.monotonic() + self.limits.timeout_seconds
        try:
            return [future.result(max(deadline - time.monotonic(), 0)) for future in futures]
        except FutureTimeout as error:
            _cancel(futures)
            raise RefusedError(503, f"no answer within {self.limits.timeout_seconds:g} s") from error
        except MireError as error:
            raise RefusedError(422, str(error)) from error
        except (OSError, ImportError) as error:
            raise RefusedError(503, "the server cannot answer now; its log says why") from error

    def _pass(self, samples: Sequence[Sample]) -> list[Outcome]:
        """One pass of the panel, made by the batcher's thread only."""
        self.metrics.batch_size.observe(len(samples))
        answers = self.panel.classify_many(samples)
        readings = self._readings([s for s, found in zip(samples, answers, strict=True) if found.task == "image"])
        return [Outcome(found, readings.get(sample.id)) for sample, found in zip(samples, answers, strict=True)]

    def _readings(self, samples: Sequence[Sample]) -> dict[str, Reading]:
        """What the panel's reader has read; its cache answers, since the vote has just asked the same."""
        task = self.panel.tasks.get("image")
        reader = next((v.reader for v in task.voters if isinstance(v, ScreenTextVoter)), None) if task else None
        first = {sample.id: sample.images[0] for sample in samples if sample.images}
        if reader is None or not first:
            return {}
        readings = reader.read(list(first.values()))
        return {name: readings[path] for name, path in first.items() if path in readings}


def _pixels(sample: Sample) -> int:
    """Pixels of a sample's pictures, as their heads have them; those that cannot be read have none."""
    total = 0
    for path in sample.images:
        try:
            width, height = picture_size(path)
        except DataError:
            continue
        total += width * height
    return total


def _cancel(futures: Sequence["Future[Outcome]"]) -> None:
    for future in futures:
        future.cancel()
