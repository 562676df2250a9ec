"""What the page's buttons do; each answer is HTML, a refusal included."""

import asyncio
import tempfile
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.concurrency import run_in_threadpool

from ensemble.decisions.threshold_file import TaskThresholds
from ensemble.decisions.thresholds import fit_thresholds
from ensemble.prediction.submission import write_submission
from ensemble.serve.limits import FairShares, Limits, RefusedError, check_json
from ensemble.serve.page.archive import unpack_pictures, unpacked_bytes
from ensemble.serve.page.render import render_answer, render_decisions, render_progress, render_refusal
from ensemble.serve.page.words import words_for
from ensemble.serve.questions import Posted, QuestionIn, TurnIn, ask, check_lengths
from ensemble.serve.service import Service, temporary_folder
from mire.errors import MireError
from mire.labels import Task
from mire.panel_folder import PanelFolder
from mire.prompts import DIALOGUE_END, IMAGE_TAG, OFFICIAL_DIALOGUE_HEAD, Turn, parse_prompt
from mire.records import read_records
from mire.samples import Sample, read_samples
from mire.tables.files import is_table
from mire.tables.workbook import MAX_COLUMNS, check_size, is_workbook

_N_REASONS = 8
"""Reasons of degradation that are shown after a batch, the most frequent first."""
_LEAST_PERCENT, _MOST_PERCENT = 50, 99


class Handlers:
    """The page's side of a service."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._jobs, self._reading = FairShares(service.limits.max_jobs), asyncio.Semaphore(1)

    async def picture(self, path: str | None, request: gr.Request) -> str:
        return await self._answer(QuestionIn(), [path] if path else [], request)

    async def dialogue(self, text: str, paths: list[str] | None, request: gr.Request) -> str:
        try:
            check_lengths([text], self._service.limits)
        except RefusedError as error:
            return render_refusal(error.reason, words_for(request.headers.get("accept-language")))
        said = [TurnIn(speaker=turn.speaker, text=turn.text) for turn in read_turns(text)]
        return await self._answer(QuestionIn(dialogue=said), paths or [], request)

    async def decisions(self, percent: float, request: gr.Request) -> str:
        """What is answered and what goes to people, where so many of 100 answers are to be right."""
        words, service = words_for(request.headers.get("accept-language")), self._service
        precision = min(max(round(percent), _LEAST_PERCENT), _MOST_PERCENT) / 100  # few, so that all of them are kept
        panel = service.panel
        find = partial(thresholds_at, service.folder, tuple(panel.tasks), precision, fingerprint=panel.fingerprint)
        try:
            return render_decisions(await service.at_desk(find, _client(request), cost=0), words)
        except RefusedError:  # its reason names folders of the server
            return render_refusal(words["no_decisions"], words)

    def add_turn(
        self, speaker: str, turn: dict[str, Any], text: str, paths: list[str] | None
    ) -> tuple[str, list[str], None]:
        """The dialogue with one more turn, its pictures after those before, and an empty field for the next one."""
        files = [str(path) for path in turn.get("files") or ()]
        said = " ".join([*(IMAGE_TAG for _ in files), *(turn.get("text") or "").split()])
        lines = [*text.splitlines(), f"{speaker}: {said}"] if said else text.splitlines()
        return "\n".join(lines), [*(paths or ()), *files], None

    async def batch(self, data: str | None, archive: str | None, request: gr.Request) -> AsyncIterator[tuple[str, Any]]:
        """Progress as HTML, and at last the CSV, exact and as a spreadsheet may open it: its texts are a stranger's."""
        words = words_for(request.headers.get("accept-language"))
        if not data:
            yield render_refusal(words["need_data"], words), gr.update(visible=False)
            return
        client = _client(request)
        try:
            with _taken(self._jobs, client, 1):
                async for said in self._predict(Path(data), Path(archive) if archive else None, client, words):
                    yield said
        except (RefusedError, MireError) as error:
            yield render_refusal(_without_folders(str(error), data, archive or data), words), gr.update(visible=False)

    async def _predict(
        self, data: Path, archive: Path | None, client: str, words: dict[str, str]
    ) -> AsyncIterator[tuple[str, Any]]:
        limits, service = self._service.limits, self._service
        n_bytes = data.stat().st_size
        if n_bytes > limits.max_request_bytes:
            raise RefusedError(413, f"the samples' file may have {limits.max_request_bytes} bytes, got {n_bytes}")
        async with AsyncExitStack() as held:
            held.enter_context(_taken(service.memory, client, n_bytes))
            folder = (await held.enter_async_context(temporary_folder())).path
            # Not at the desk: others' answers do not wait for a whole file, nor others' files for many of one client.
            async with service.turn(client, "read"), self._reading:
                if archive:
                    n_unpacked = await run_in_threadpool(unpacked_bytes, archive, max_bytes=limits.max_upload_bytes)
                    held.enter_context(_taken(service.disk, client, n_unpacked))
                    await run_in_threadpool(unpack_pictures, archive, folder, max_bytes=limits.max_upload_bytes)
                samples = await run_in_threadpool(_samples, data, folder, limits)
            yield render_progress(0, len(samples), 0, words), gr.update(visible=False)
            labels: dict[str, str] = {}
            n_degraded, reasons = 0, Counter[str]()
            async for name, found in service.classify_many(samples, client):
                labels[name] = found.label
                n_degraded += bool(found.problems)
                reasons.update(set(found.problems))
                if len(labels) % limits.max_batch == 0:
                    yield render_progress(len(labels), len(samples), n_degraded, words), gr.update(visible=False)
        made = Path(tempfile.mkdtemp(prefix="mire-csv-"))
        files = [made / "submit.csv", made / "submit-for-excel.csv"]
        for path, for_excel in zip(files, (False, True), strict=True):
            await run_in_threadpool(write_submission, path, samples, labels, for_excel=for_excel)
        done = render_progress(len(labels), len(samples), n_degraded, words, reasons.most_common(_N_REASONS))
        yield done, gr.update(value=[str(path) for path in files], visible=True)

    async def _answer(self, body: QuestionIn, paths: Sequence[str], request: gr.Request) -> str:
        words, client = words_for(request.headers.get("accept-language")), _client(request)
        pictures = [Path(path) for path in paths]
        n_bytes = sum(path.stat().st_size for path in pictures)
        try:
            if n_bytes > self._service.limits.max_request_bytes:
                raise RefusedError(413, f"pictures may have {self._service.limits.max_request_bytes} bytes together")
            answer = await self._service.classify(partial(self._posted, body, pictures), client, cost=n_bytes)
            turns = [Turn(turn.speaker, turn.text) for turn in body.dialogue or ()]
            render = partial(render_answer, answer, words, turns, pictures)
            return await self._service.at_desk(render, client, cost=n_bytes)
        except RefusedError as error:
            return render_refusal(error.reason, words)

    def _posted(self, body: QuestionIn, pictures: Sequence[Path]) -> Posted:
        return ask(body, [path.read_bytes() for path in pictures], self._service.limits)


@lru_cache(maxsize=256)
def thresholds_at(
    folder: PanelFolder, tasks: tuple[Task, ...], precision: float, *, fingerprint: str
) -> dict[Task, TaskThresholds]:
    """Each task's threshold for a precision, by the out-of-fold votes of the panel that has this fingerprint."""
    return {task: fit_thresholds(folder, task, precision=precision) for task in tasks}


def read_turns(text: str) -> tuple[Turn, ...]:
    """The turns of a dialogue as a person typed it, with or without a prompt's frame around; no line of it is lost.

    A line without a known speaker's name continues the turn before it; before the first turn it is the user's.
    """
    prompt = parse_prompt(text)
    return prompt.turns if prompt.marked else parse_prompt(f"{OFFICIAL_DIALOGUE_HEAD}{text}\n{DIALOGUE_END}").turns


def _client(request: gr.Request) -> str:
    return request.client.host if request.client else ""


@contextmanager
def _taken(shares: FairShares, client: str, amount: int) -> Iterator[None]:
    """Inside, the client has ``amount`` more of what all share.

    Raises:
        RefusedError: there is no room (429).
    """
    if not shares.take(client, amount):
        raise RefusedError(429, "busy: too many batch jobs are under way; try again later")
    try:
        yield
    finally:
        shares.give_back(client, amount)


def _samples(data: Path, folder: Path, limits: Limits) -> list[Sample]:
    """The samples of a file, which is refused before it costs many times its size.

    Raises:
        RefusedError: neither a table nor JSON or JSON lines, very many values or records, or a long one (422).
        DataError: as ``read_samples``.
    """
    if not is_table(data):
        content = data.read_bytes()
        if not content.lstrip().startswith((b"[", b"{", BOM_UTF8)):
            raise RefusedError(422, "the samples must be CSV, XLSX, JSON, or JSON lines")
        check_json(content, limits.max_batch_nodes)
    elif is_workbook(data):
        check_size(data, limits.max_request_bytes)
    n_characters, names = 0, set[str]()
    for number, record in enumerate(read_records(data), start=1):
        if number > limits.max_batch_samples:
            raise RefusedError(422, f"a batch may have {limits.max_batch_samples} samples")
        check_lengths([text := str(record)], limits)
        names.update(record if isinstance(record, dict) else ())
        if len(names) > MAX_COLUMNS:
            raise RefusedError(422, f"a batch's samples may have {MAX_COLUMNS} keys together")
        n_characters += len(text)
        if n_characters > limits.max_request_bytes:  # a workbook may hold one text very many times
            raise RefusedError(422, f"a batch's samples may have {limits.max_request_bytes} characters together")
    return read_samples(data, folder, max_decoded_pixels=limits.max_pixels)


def _without_folders(text: str, *paths: str) -> str:
    """The message without the server's folders in it."""
    for path in paths:
        text = text.replace(f"{Path(path).parent}/", "")
    return text
