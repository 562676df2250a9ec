"""The page: a picture, a dialogue, or a whole file of samples."""

import logging
import os
from pathlib import Path
from traceback import extract_tb
from types import SimpleNamespace
from typing import Any

# Set before gradio is imported, which reads it once; otherwise it reports to its makers.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
# Otherwise it searches the last ten thousand calls after each call.
os.environ["GRADIO_ANALYTICS_MAX_EVENTS"] = "1"
# Otherwise the first call has matplotlib choose a backend, which delays all requests by a second and takes 40 MiB.
os.environ.setdefault("MPLBACKEND", "agg")

import gradio as gr
from fastapi import FastAPI
from gradio import route_utils, state_holder

from ensemble.serve.page.browser_language import CHINESE, BrowserLanguage
from ensemble.serve.page.calls import PageCalls
from ensemble.serve.page.examples import examples
from ensemble.serve.page.handlers import Handlers
from ensemble.serve.page.sessions import Sessions
from ensemble.serve.page.theme import theme
from ensemble.serve.page.words import WORDS
from ensemble.serve.scratch import KEEP_SECONDS
from ensemble.serve.service import Service
from mire.prompts import SPEAKER_NAMES, parse_prompt

logger = logging.getLogger(__name__)

_MAX_SESSIONS, _MAX_CALLS = 256, 512
_PICTURE_HEIGHT = 380
_DROP_HEIGHT = 150
_PLACEHOLDER = "用户: <image>\n用户: 这个会生锈吗\n客服: 亲，请稍等"
_TURN = "这个会生锈吗"

_TABLES = [".csv", ".xlsx", ".json", ".jsonl"]


class _Page(gr.Blocks):
    """Blocks whose failed calls leave one line in the log; Gradio would print a traceback with what the caller sent."""

    async def process_api(self, *args: Any, **named: Any) -> dict[str, Any]:
        try:
            return dict(await super().process_api(*args, **named))
        except Exception as error:
            place = extract_tb(error.__traceback__)[-1]
            logger.error(f"a call of the page failed: {type(error).__name__} in {place.name}, line {place.lineno}")
            raise gr.Error("the page cannot answer this", print_exception=False) from None


class _Upload(route_utils.GradioUploadFile):
    """An upload whose path does not follow from its bytes: it must not tell whether a file was sent before."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.sha.update(os.urandom(16))


class _OnlyFiles(route_utils.GradioMultiPartParser):
    """A parser of uploads without form fields: Gradio would keep fields in memory, however long they are."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **{**named, "max_fields": 0})


class _Session(state_holder.SessionState):
    """A visitor's values, without the settings of the whole page, which only links into a session need.

    To copy them would delay all requests by a hundredth of a second per visitor.
    """

    def __init__(self, blocks: gr.Blocks) -> None:
        super().__init__(SimpleNamespace(default_config=blocks.default_config, blocks={}))  # type: ignore[arg-type]


route_utils.GradioUploadFile = _Upload  # type: ignore[misc]
route_utils.GradioMultiPartParser = _OnlyFiles  # type: ignore[misc]
state_holder.SessionState = _Session  # type: ignore[misc]


def _as_sent(payload: Any) -> str | None:
    """A picture's file as it was sent: gradio's own opening fails on a broken one before we can say why."""
    return str(payload.path) if payload and payload.path else None


def mount_page(app: FastAPI, service: Service, *, root_path: str = "") -> FastAPI:
    """The application with the page at its root, which a visitor finds at ``root_path``."""
    spoken = gr.I18n(**{"en": WORDS["en"], CHINESE: WORDS["zh"]})
    blocks = _blocks(Handlers(service), spoken, decides=service.folder is not None)
    # Sessions have no state, and calls start at once: the service's queues are fair, Gradio's is not.
    blocks.state_session_capacity, blocks.max_threads = _MAX_SESSIONS, _MAX_CALLS
    blocks.queue(api_open=False, max_size=_MAX_CALLS, default_concurrency_limit=None)
    mounted: FastAPI = gr.mount_gradio_app(
        app,
        blocks,
        path="/",
        root_path=root_path or None,
        i18n=spoken,
        theme=theme(),
        css_paths=Path(__file__).with_name("page.css"),
        max_file_size=service.limits.max_upload_bytes,
        ssr_mode=False,
        show_error=False,
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
    )
    # Gradio checks the paths of files only after launch(), which a mounted page never calls, and offers no other way.
    blocks.has_launched = True
    mounted.add_middleware(BrowserLanguage)
    mounted.add_middleware(PageCalls, limits=service.limits, sessions=Sessions(blocks), functions=blocks.fns)
    return mounted


def _blocks(handlers: Handlers, spoken: Any, *, decides: bool) -> gr.Blocks:
    page: gr.Blocks
    with _Page(title="MIRE", analytics_enabled=False, delete_cache=(KEEP_SECONDS, KEEP_SECONDS)) as page:
        with gr.Column(elem_classes="mire-head"):
            gr.Markdown("# MIRE")
            gr.Markdown(spoken("about"))
        pictures, dialogues = examples()
        with gr.Tab(spoken("picture_tab")):
            _picture_tab(handlers, spoken, pictures)
        with gr.Tab(spoken("dialogue_tab")):
            _dialogue_tab(handlers, spoken, dialogues)
        with gr.Tab(spoken("batch_tab")):
            _batch_tab(handlers, spoken)
        if decides:
            with gr.Tab(spoken("decide_tab")) as tab:
                _decisions_tab(handlers, spoken, tab)
    return page


def _picture_tab(handlers: Handlers, spoken: Any, pictures: list[str]) -> None:
    with gr.Row():
        with gr.Column():
            picture = gr.Image(
                type="filepath",
                sources=["upload", "clipboard"],
                label=spoken("picture"),
                height=_PICTURE_HEIGHT,
                elem_id="picture",
            )
            # Not a subclass: gradio writes a stub file beside the module of one.
            picture.preprocess = _as_sent  # type: ignore[method-assign]
            button = gr.Button(spoken("ask"), variant="primary", elem_id="ask-picture")
            shelf = gr.Column()
        with gr.Column():
            answer = gr.HTML(spoken("hint"), elem_id="picture-answer")
    gr.on([button.click, picture.upload], handlers.picture, [picture], [answer], api_visibility="private")
    if pictures:
        with shelf:
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
            speakers = [(spoken(speaker), name) for speaker, name in SPEAKER_NAMES.items()]
            speaker = gr.Radio(speakers, value=SPEAKER_NAMES["user"], label=spoken("add"), elem_id="speaker")
            turn = gr.MultimodalTextbox(
                file_types=["image"],
                file_count="multiple",
                sources=["upload"],
                show_label=False,
                placeholder=_TURN,
                elem_id="turn",
            )
            button = gr.Button(spoken("ask"), variant="primary", elem_id="ask-dialogue")
            shelf = gr.Column()
        with gr.Column():
            answer = gr.HTML(spoken("hint"), elem_id="dialogue-answer")
    built = [text, pictures]
    turn.submit(handlers.add_turn, [speaker, turn, *built], [*built, turn], api_visibility="private")
    button.click(handlers.dialogue, built, [answer], api_visibility="private")
    if dialogues:
        rows = [[said, paths] for said, paths in dialogues]
        with shelf:
            _examples(rows, built, answer, handlers.dialogue, spoken, [_longest_words(said) for said, _ in dialogues])


def _batch_tab(handlers: Handlers, spoken: Any) -> None:
    with gr.Row():
        with gr.Column():
            data = gr.File(file_types=_TABLES, label=spoken("data"), height=_DROP_HEIGHT, elem_id="data")
            archive = gr.File(file_types=[".zip"], label=spoken("zip"), height=_DROP_HEIGHT, elem_id="zip")
            button = gr.Button(spoken("start"), variant="primary", elem_id="start")
        with gr.Column():
            progress = gr.HTML(spoken("batch_hint"), elem_id="batch-progress")
            csv = gr.File(label=spoken("csv"), file_count="multiple", interactive=False, visible=False, elem_id="csv")
    button.click(handlers.batch, [data, archive], [progress, csv], api_visibility="private")


def _decisions_tab(handlers: Handlers, spoken: Any, tab: gr.Tab) -> None:
    percent = gr.Slider(80, 99, 90, step=1, label=spoken("precision"), elem_id="precision")
    found = gr.HTML(spoken("decide_hint"), elem_id="decisions")
    gr.on(
        [tab.select, percent.change],
        handlers.decisions,
        [percent],
        [found],
        api_visibility="private",
        trigger_mode="always_last",
    )


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
    """The user's longest text, cards and links aside: the name of an example, by which people tell dialogues apart."""
    said = [turn.text for turn in parse_prompt(dialogue).turns if turn.speaker == "user"]
    return max(said, key=lambda text: (not text.startswith(("【", "<")), len(text)), default="")
