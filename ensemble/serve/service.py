"""One panel that answers questions, from the page and from HTTP alike."""

import asyncio
import gc
import logging
import shutil
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from ensemble.classify import Classification
from ensemble.decisions.shadow import Shadow, Told
from ensemble.panel import Panel
from ensemble.serve.answers import Answer, answer
from ensemble.serve.batcher import Batcher, FullError
from ensemble.serve.limits import FairShares, Limits, RefusedError
from ensemble.serve.metrics import Metrics
from ensemble.serve.questions import Posted, check_pictures
from ensemble.serve.wire.request_ids import request_id_now
from experts.screen_text.reader import Reading
from experts.screen_text.voter import ScreenTextVoter
from mire.cache import empty_cache
from mire.errors import DataError, JournalError, MireError, PanelError
from mire.images import picture_size
from mire.labels import Task
from mire.panel_folder import PREVIOUS, PanelFolder
from mire.samples import Sample
from router.route import route

logger = logging.getLogger(__name__)

_PIXELS_PER_SECOND = 24_000_000
"""What a second of work costs beside what is known before: a body's bytes, a picture's pixels."""
_RETRY_SECONDS = 0.05
_LARGE_PIXELS = 4_000_000
"""Pictures of more are decoded one at a time: one of ``Limits.max_pixels`` takes some 250 MiB."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class Outcome:
    """A classification, the panel that made it, and what was read in the sample's first picture."""

    found: Classification
    panel: Panel
    reading: Reading | None


@dataclass(frozen=True)
class _Asked:
    """A sample, the panel to ask, and its pictures' pixels, as heads have them; those that cannot be read have none."""

    sample: Sample
    panel: Panel
    task: Task
    n_pixels: int

    @classmethod
    def of(cls, sample: Sample, panel: Panel) -> "_Asked":
        n_pixels = 0
        for path in sample.images:
            with suppress(DataError):
                width, height = picture_size(path)
                n_pixels += width * height
        return cls(sample, panel, route(sample.prompt, panel.taxonomies).task, n_pixels)


class Service:
    """Answers questions; those that come at the same time share one pass of the panel.

    Two threads do all work that takes time: the desk reads requests and pictures, one at a time, and the panel makes
    its passes. Before each, clients take turns by what their work costs. Whoever is cancelled leaves both queues.
    A request is answered by the panel of the moment when it came, although ``reload`` may take up another meanwhile.
    """

    def __init__(
        self,
        panel: Panel,
        limits: Limits,
        *,
        folder: Path | None = None,
        keep_cache: bool = True,
        shadow: Shadow | None = None,
    ) -> None:
        """Serve a loaded panel; ``folder`` is where ``reload`` finds the next one, ``shadow`` one to compare with."""
        self._shadow = shadow
        self.panel, self.limits = panel, limits
        self.folder = PanelFolder(folder) if folder else None
        self._root, self._reloading = folder, threading.Lock()
        self.metrics = Metrics(fingerprint=panel.fingerprint)
        self.memory, self.disk = FairShares(limits.max_bytes_under_way), FairShares(limits.max_uploaded_bytes)
        self._cache = nullcontext if keep_cache else empty_cache
        self._large = threading.Lock()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._desk: Batcher[Callable[[], Any], Any] = Batcher(
            _run_each, max_batch=1, max_waiting=limits.max_waiting, cost_per_second=_PIXELS_PER_SECOND
        )
        self._passes: Batcher[_Asked, Outcome] = Batcher(
            self._pass,
            max_batch=limits.max_batch,
            max_waiting=limits.max_waiting,
            max_cost=limits.max_pixels,
            cost_per_second=_PIXELS_PER_SECOND,
        )
        self.metrics.waiting.set_function(lambda: self._passes.n_waiting)

    async def classify(self, read: Callable[[], Posted], client: str, *, cost: float) -> Answer:
        """Answer the request that ``read`` gives, at the desk; ``cost`` are its bytes.

        Raises:
            RefusedError: a question that cannot be asked or answered (422), too many waiting (429), too slow (503).
        """
        async with self.asked(read, client, cost=cost) as outcome:
            return answer(outcome.found, outcome.panel, outcome.reading)

    @asynccontextmanager
    async def asked(
        self, read: Callable[[], Posted], client: str, *, cost: float, panel: Panel | None = None
    ) -> AsyncIterator[Outcome]:
        """What the panel makes of the request, whose pictures lie on disk inside; as ``classify``.

        ``panel`` is one that was served before, if not the one that is served now.
        """
        asking = partial(self._asked, panel=panel or self.panel)
        async with temporary_folder() as folder:
            asked = await self.at_desk(lambda: asking(read(), folder.path), client, cost=cost)
            await self.at_desk(partial(self._check_pictures, asked), client, cost=asked.n_pixels)
            outcome = await self._outcome(asked, client)
            folder.release = self._compare(asked.sample, outcome)
            yield outcome

    async def classify_many(self, samples: Sequence[Sample], client: str) -> AsyncIterator[tuple[str, Classification]]:
        """Id and classification of many samples, a batch at a time; where the queue is full it waits for room.

        A client's jobs take turns, so that all of them together hold no more of the queue than one.

        Raises:
            RefusedError: as ``classify``.
        """
        size, panel = min(self.limits.max_batch, self.limits.max_waiting), self.panel
        for start in range(0, len(samples), size):
            chunk = samples[start : start + size]
            async with self.turn(client):
                asked = await self.at_desk(partial(_all_asked, chunk, panel), client, cost=0)
                outcomes = await self._outcomes(asked, client)
            for sample, outcome in zip(chunk, outcomes, strict=True):
                yield sample.id, outcome.found

    def turn(self, client: str, to: str = "ask") -> asyncio.Lock:
        """What one of a client's batch jobs holds at a time, to do something; forgotten when nobody needs it."""
        return self._turns.setdefault(f"{to} {client}", asyncio.Lock())

    async def at_desk(self, job: Callable[[], Result], client: str, *, cost: float) -> Result:
        """What ``job`` returns, run in turn by the thread that reads requests and pictures; raises as ``classify``."""
        found: Result = await self._in_time(lambda: self._desk.submit(job, client=client, cost=cost))
        return found

    def reload(self, *, previous: bool = False) -> Panel:
        """Take up the panel that lies in the folder now, or ``previous``, the one that its last training replaced.

        Both are in memory until the requests that came before are answered. Whatever fails, the old one is kept.

        Raises:
            MireError: as ``Panel.load``, or a task that is served now is missing.
        """
        if self._root is None:
            raise PanelError("this service was given a loaded panel, no folder to load another one from")
        folder = self._root / PREVIOUS if previous else self._root
        with self._reloading:
            panel = Panel.load(folder)
            if lost := [task for task in self.panel.tasks if task not in panel.tasks]:
                raise PanelError(f"{folder} has no {lost[0]} experts, which are served now; the old panel is kept")
            self.panel, self.folder = panel, PanelFolder(folder)
            self.metrics.name_panel(panel.fingerprint)
            gc.unfreeze()  # as ``listen`` froze it, the old panel would stay in memory for ever
            logger.info(f"{folder} was taken up: panel {panel.fingerprint}")
        return panel

    def close(self) -> None:
        self._desk.close()
        self._passes.close()
        if self._shadow:
            self._shadow.close()

    def _compare(self, sample: Sample, outcome: Outcome) -> "Future[Any] | None":
        """What holds the sample's pictures: the second panel, if it is asked too."""
        if self._shadow is None:
            return None
        found = outcome.found
        told = Told(outcome.panel.fingerprint, found.label, found.probability)
        return self._shadow.compare(sample, told, request_id_now.get(), partial(self.metrics.count_shadow, found.task))

    def _asked(self, posted: Posted, folder: Path, *, panel: Panel) -> "_Asked":
        asked = _Asked.of(panel.sample(posted.question_in(folder, self.limits)), panel)
        if asked.task not in panel.tasks:
            raise RefusedError(422, f"this panel has no {asked.task} experts")
        return asked

    def _check_pictures(self, asked: "_Asked") -> None:
        with self._decoding(asked.n_pixels):
            check_pictures(asked.sample.images)

    def _decoding(self, n_pixels: int) -> AbstractContextManager[Any]:
        return self._large if n_pixels > _LARGE_PIXELS else nullcontext()

    async def _outcomes(self, asked: "Sequence[_Asked]", client: str) -> list[Outcome]:
        tasks = [asyncio.ensure_future(self._outcome(one, client, patient=True)) for one in asked]
        try:
            return await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()

    async def _outcome(self, asked: "_Asked", client: str, *, patient: bool = False) -> Outcome:
        def submit() -> "Future[Outcome]":
            kind = f"{asked.task} {asked.panel.fingerprint}"  # so that a pass has one panel
            return self._passes.submit(asked, client=client, cost=asked.n_pixels, kind=kind)

        return await self._in_time(submit, patient=patient)

    async def _in_time(self, submit: Callable[[], "Future[Result]"], *, patient: bool = False) -> Result:
        """What was submitted, within the time limit; who is patient waits for room in the queue too."""
        try:
            async with asyncio.timeout(self.limits.timeout_seconds):
                while True:
                    try:
                        return await asyncio.wrap_future(submit())
                    except FullError as error:
                        if not patient:
                            raise RefusedError(429, f"busy: {error}; try again") from error
                        await asyncio.sleep(_RETRY_SECONDS)
        except TimeoutError as error:
            raise RefusedError(503, f"no answer within {self.limits.timeout_seconds:g} s") from error
        except (JournalError, OSError, ImportError, MemoryError) as error:  # of this machine, its cache included
            logger.error(f"a request was not answered: {type(error).__name__}: {error}")
            raise RefusedError(503, "the server cannot answer now; its log says why") from error
        except MireError as error:
            raise RefusedError(422, str(error)) from error

    def _pass(self, asked: Sequence[_Asked]) -> list[Outcome]:
        """One pass of one panel, made by the batcher's thread only."""
        self.metrics.batch_size.observe(len(asked))
        panel = asked[0].panel
        samples = [replace(each.sample, id=str(number)) for number, each in enumerate(asked)]
        # The cache is of this pass alone: else the time of an answer tells who has sent a picture before.
        with self._decoding(sum(each.n_pixels for each in asked)), self._cache():
            answers = panel.classify_many(samples)
            pictures = [sample for sample, found in zip(samples, answers, strict=True) if found.task == "image"]
            readings = _readings(pictures, panel)
        for found in answers:
            self.metrics.count_answer(found, panel)
        return [Outcome(found, panel, readings.get(sample.id)) for sample, found in zip(samples, answers, strict=True)]


def _all_asked(samples: Sequence[Sample], panel: Panel) -> list[_Asked]:
    return [_Asked.of(sample, panel) for sample in samples]


def _readings(samples: Sequence[Sample], panel: Panel) -> dict[str, Reading]:
    """What the panel's reader has read; its cache answers, since the vote has just asked the same."""
    task = panel.tasks.get("image")
    reader = next((v.reader for v in task.voters if isinstance(v, ScreenTextVoter)), None) if task else None
    first = {sample.id: sample.images[0] for sample in samples if sample.images}
    if reader is None or not first:
        return {}
    readings = reader.read(list(first.values()))
    return {name: readings[path] for name, path in first.items() if path in readings}


@dataclass
class _Folder:
    """A temporary folder, which is needed until ``release``, if there is one, is done."""

    path: Path
    release: "Future[Any] | None" = None

    def remove(self, _: object = None) -> None:
        shutil.rmtree(self.path, ignore_errors=True)


@asynccontextmanager
async def temporary_folder() -> AsyncIterator[_Folder]:
    """A temporary folder, which is made and deleted outside the event loop: a disk may be slow."""
    folder = _Folder(Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="mire-")))
    try:
        yield folder
    finally:
        if folder.release:
            folder.release.add_done_callback(folder.remove)
        else:
            asyncio.get_running_loop().run_in_executor(None, folder.remove)


def _run_each(jobs: Sequence[Callable[[], Any]]) -> list[Any]:
    return [job() for job in jobs]
