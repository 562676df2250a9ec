"""The page: a picture, a dialogue, or a whole file of samples."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Before gradio is imported: it reads this once, and would call its makers otherwise.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

import gradio as gr
from fastapi import FastAPI

from ensemble.serve.archive import unpack_pictures
from ensemble.serve.examples import examples
from ensemble.serve.limits import RefusedError
from ensemble.serve.questions import QuestionIn, TurnIn, ask
from ensemble.serve.render import render_answer, render_refusal
from ensemble.serve.service import Service
from ensemble.serve.words import WORDS, words_for
from ensemble.submission import write_submission
from mire.errors import MireError
from mire.prompts import parse_prompt
from mire.samples import read_samples

_FONTS = ("system-ui", "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", "WenQuanYi Micro Hei", "sans-serif")
_KEEP_SECONDS = 3600
"""Uploaded files are deleted after this time."""
_DROP_HEIGHT = 170
_PLACEHOLDER = "用户: <image>\n用户: 这个会生锈吗\n客服: 亲，请稍等"


def _as_sent(payload: Any) -> str | None:
    """A picture's file as it was sent: gradio's own opening fails on a broken one before we can say why."""
    return str(payload.path) if payload and payload.path else None


class Handlers:
    """What the page's buttons do; each returns HTML, a refusal included."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def picture(self, path: str | None, request: gr.Request) -> str:
        return self._answer(QuestionIn(), [path] if path else [], request)

    def dialogue(self, text: str, paths: list[str] | None, request: gr.Request) -> str:
        turns = parse_prompt(text).turns
        said = [TurnIn(speaker=turn.speaker, text=turn.text) for turn in turns] or [TurnIn(speaker="user", text=text)]
        return self._answer(QuestionIn(dialogue=said), paths or [], request)

    def batch(self, data: str | None, archive: str | None, request: gr.Request) -> Iterator[tuple[str, str | None]]:
        """Progress as HTML, and at last the CSV's path."""
        words = words_for(request.headers.get("accept-language"))
        if not data or not archive:
            yield render_refusal(words["need_both"], words), None
            return
        try:
            yield from self._predict(Path(data), Path(archive), words)
        except (RefusedError, MireError) as error:
            yield render_refusal(_without_folders(str(error), data, archive), words), None

    def _predict(self, data: Path, archive: Path, words: dict[str, str]) -> Iterator[tuple[str, str | None]]:
        with tempfile.TemporaryDirectory(prefix="mire-") as folder:
            unpack_pictures(archive, Path(folder), max_bytes=self._service.limits.max_upload_bytes)
            samples = read_samples(data, Path(folder))
            labels: dict[str, str] = {}
            n_degraded = 0
            for name, prediction in self._service.predict(samples):
                labels[name] = prediction.label
                n_degraded += bool(prediction.problems)
                done = f"{len(labels)} / {len(samples)}"
                if len(labels) % self._service.limits.max_batch == 0:
                    yield f"<progress value={len(labels)} max={len(samples)}></progress> {done}", None
        out = Path(tempfile.mkdtemp(prefix="mire-csv-")) / "submit.csv"
        write_submission(out, samples, labels)
        yield f"{len(labels)} {words['done']}, {n_degraded} {words['degraded']}", str(out)

    def _answer(self, body: QuestionIn, paths: list[str], request: gr.Request) -> str:
        words = words_for(request.headers.get("accept-language"))
        try:
            answer = self._service.classify(ask(body, self._pictures(paths), self._service.limits))
        except RefusedError as error:
            return render_refusal(error.reason, words)
        return render_answer(answer, words, Path(paths[0]) if paths and answer.text else None)

    def _pictures(self, paths: list[str]) -> list[bytes]:
        limit = self._service.limits.max_request_bytes
        if sum(Path(path).stat().st_size for path in paths) > limit:
            raise RefusedError(413, f"pictures may have {limit} bytes together")
        return [Path(path).read_bytes() for path in paths]


def mount_page(app: FastAPI, service: Service) -> FastAPI:
    """The application with the page at its root."""
    spoken = gr.I18n(**{"en": WORDS["en"], "zh": WORDS["zh"], "zh-CN": WORDS["zh"]})
    mounted: FastAPI = gr.mount_gradio_app(
        app,
        _blocks(Handlers(service), spoken),
        path="/",
        i18n=spoken,
        theme=gr.themes.Default(font=_FONTS, font_mono=("ui-monospace", "monospace")),
        css_paths=Path(__file__).with_name("page.css"),
        max_file_size=service.limits.max_upload_bytes,
        ssr_mode=False,
        show_error=False,
        footer_links=[],
    )
    return mounted


def _blocks(handlers: Handlers, spoken: Any) -> gr.Blocks:
    page: gr.Blocks
    with gr.Blocks(title="MIRE", analytics_enabled=False, delete_cache=(_KEEP_SECONDS, _KEEP_SECONDS)) as page:
        gr.Markdown("# MIRE")
        gr.Markdown(spoken("about"))
        pictures, dialogues = examples()
        with gr.Tab(spoken("picture_tab")):
            _picture_tab(handlers, spoken, pictures)
        with gr.Tab(spoken("dialogue_tab")):
            _dialogue_tab(handlers, spoken, dialogues)
        with gr.Tab(spoken("batch_tab")):
            _batch_tab(handlers, spoken)
    return page


def _picture_tab(handlers: Handlers, spoken: Any, pictures: list[str]) -> None:
    with gr.Row():
        with gr.Column():
            picture = gr.Image(
                type="filepath",
                sources=["upload", "clipboard"],
                label=spoken("picture"),
                height=420,
                elem_id="picture",
            )
            # Not a subclass: gradio writes a stub file beside the module of one.
            picture.preprocess = _as_sent  # type: ignore[method-assign]
            button = gr.Button(spoken("ask"), variant="primary", elem_id="ask-picture")
        with gr.Column():
            answer = gr.HTML(elem_id="picture-answer")
    gr.on([button.click, picture.upload], handlers.picture, [picture], [answer], api_visibility="private")
    if pictures:
        _examples([[path] for path in pictures], [picture], answer, handlers.picture, spoken)


def _dialogue_tab(handlers: Handlers, spoken: Any, dialogues: list[tuple[str, list[str]]]) -> None:
    with gr.Row():
        with gr.Column():
            text = gr.Textbox(lines=8, label=spoken("dialogue"), placeholder=_PLACEHOLDER, elem_id="dialogue")
            pictures = gr.File(
                file_count="multiple",
                file_types=["image"],
                label=spoken("pictures"),
                height=_DROP_HEIGHT,
                elem_id="dialogue-pictures",
            )
            button = gr.Button(spoken("ask"), variant="primary", elem_id="ask-dialogue")
        with gr.Column():
            answer = gr.HTML(elem_id="dialogue-answer")
    button.click(handlers.dialogue, [text, pictures], [answer], api_visibility="private")
    if dialogues:
        rows = [[said, paths] for said, paths in dialogues]
        _examples(rows, [text, pictures], answer, handlers.dialogue, spoken, [_longest_words(s) for s, _ in dialogues])


def _batch_tab(handlers: Handlers, spoken: Any) -> None:
    with gr.Row():
        with gr.Column():
            data = gr.File(file_types=[".json", ".jsonl"], label=spoken("data"), height=_DROP_HEIGHT, elem_id="data")
            archive = gr.File(file_types=[".zip"], label=spoken("zip"), height=_DROP_HEIGHT, elem_id="zip")
            button = gr.Button(spoken("start"), variant="primary", elem_id="start")
        with gr.Column():
            progress = gr.HTML(elem_id="batch-progress")
            csv = gr.File(label=spoken("csv"), interactive=False, elem_id="csv")
    button.click(handlers.batch, [data, archive], [progress, csv], api_visibility="private")


def _examples(
    rows: list[list[Any]], inputs: list[Any], answer: Any, handler: Any, spoken: Any, names: list[str] | None = None
) -> None:
    gr.Examples(
        rows,
        inputs,
        [answer],
        handler,
        run_on_click=True,
        cache_examples=False,
        example_labels=names,
        label=spoken("examples"),
        api_visibility="private",
    )


def _longest_words(dialogue: str) -> str:
    """What the user said at greatest length, by which a person tells dialogues apart."""
    return max((turn.text for turn in parse_prompt(dialogue).turns if turn.speaker == "user"), key=len, default="")


def _without_folders(text: str, *paths: str) -> str:
    """The message without the server's folders in it."""
    for path in paths:
        text = text.replace(f"{Path(path).parent}/", "")
    return text
