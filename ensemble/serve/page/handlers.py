"""What the page's buttons do; each answer is HTML, a refusal included."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from ensemble.prediction.submission import write_submission
from ensemble.serve.limits import RefusedError
from ensemble.serve.page.archive import unpack_pictures
from ensemble.serve.page.render import render_answer, render_progress, render_refusal
from ensemble.serve.page.words import words_for
from ensemble.serve.questions import QuestionIn, TurnIn, ask, check_lengths
from ensemble.serve.service import Service
from mire.errors import MireError
from mire.prompts import IMAGE_TAG, Turn, parse_prompt
from mire.samples import read_samples


class Handlers:
    """The page's side of a service."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def picture(self, path: str | None, request: gr.Request) -> str:
        return self._answer(QuestionIn(), [path] if path else [], request)

    def dialogue(self, text: str, paths: list[str] | None, request: gr.Request) -> str:
        try:
            check_lengths([text], self._service.limits)
        except RefusedError as error:
            return render_refusal(error.reason, words_for(request.headers.get("accept-language")))
        turns = parse_prompt(text).turns
        said = [TurnIn(speaker=turn.speaker, text=turn.text) for turn in turns] or [TurnIn(speaker="user", text=text)]
        return self._answer(QuestionIn(dialogue=said), paths or [], request)

    def add_turn(
        self, speaker: str, turn: dict[str, Any], text: str, paths: list[str] | None
    ) -> tuple[str, list[str], None]:
        """The dialogue with one more turn, its pictures after those before, and an empty field for the next one."""
        files = [str(path) for path in turn.get("files") or ()]
        said = " ".join([*(IMAGE_TAG for _ in files), *(turn.get("text") or "").split()])
        lines = [*text.splitlines(), f"{speaker}: {said}"] if said else text.splitlines()
        return "\n".join(lines), [*(paths or ()), *files], None

    def batch(self, data: str | None, archive: str | None, request: gr.Request) -> Iterator[tuple[str, Any]]:
        """Progress as HTML, and at last the CSV."""
        words = words_for(request.headers.get("accept-language"))
        if not data or not archive:
            yield render_refusal(words["need_both"], words), gr.update(visible=False)
            return
        try:
            yield from self._predict(Path(data), Path(archive), words)
        except (RefusedError, MireError) as error:
            yield render_refusal(_without_folders(str(error), data, archive), words), gr.update(visible=False)

    def _predict(self, data: Path, archive: Path, words: dict[str, str]) -> Iterator[tuple[str, Any]]:
        with tempfile.TemporaryDirectory(prefix="mire-") as folder:
            unpack_pictures(archive, Path(folder), max_bytes=self._service.limits.max_upload_bytes)
            samples = read_samples(data, Path(folder))
            yield render_progress(0, len(samples), 0, words), gr.update(visible=False)
            labels: dict[str, str] = {}
            n_degraded = 0
            for name, found in self._service.classify_many(samples):
                labels[name] = found.label
                n_degraded += bool(found.problems)
                if len(labels) % self._service.limits.max_batch == 0:
                    yield render_progress(len(labels), len(samples), n_degraded, words), gr.update(visible=False)
        out = Path(tempfile.mkdtemp(prefix="mire-csv-")) / "submit.csv"
        write_submission(out, samples, labels)
        yield render_progress(len(labels), len(samples), n_degraded, words), gr.update(value=str(out), visible=True)

    def _answer(self, body: QuestionIn, paths: Sequence[str], request: gr.Request) -> str:
        words = words_for(request.headers.get("accept-language"))
        try:
            posted = ask(body, self._pictures(paths), self._service.limits)
            answer = self._service.classify(posted)
        except RefusedError as error:
            return render_refusal(error.reason, words)
        turns = [Turn(speaker, text) for speaker, text in posted.question.dialogue]
        return render_answer(answer, words, turns, [Path(path) for path in paths])

    def _pictures(self, paths: Sequence[str]) -> list[bytes]:
        limit = self._service.limits.max_request_bytes
        if sum(Path(path).stat().st_size for path in paths) > limit:
            raise RefusedError(413, f"pictures may have {limit} bytes together")
        return [Path(path).read_bytes() for path in paths]


def _without_folders(text: str, *paths: str) -> str:
    """The message without the server's folders in it."""
    for path in paths:
        text = text.replace(f"{Path(path).parent}/", "")
    return text
