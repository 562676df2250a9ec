"""``POST /v1/classify``, ``/healthz``, ``/metrics``, and ``POST /admin/reload`` where there are keys."""

import asyncio
import json
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ValidationError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from ensemble.panel import Panel
from ensemble.serve.answers import Answer
from ensemble.serve.limits import Limits, RefusedError, check_json, client_of
from ensemble.serve.metrics import Metrics
from ensemble.serve.questions import Posted, QuestionIn, ask
from ensemble.serve.service import Service
from ensemble.serve.wire.request_ids import PANEL
from mire import __version__
from mire.errors import MireError

_FORM = {
    "type": "object",
    "properties": {
        "prompt": {"type": "string"},
        "dialogue": {"type": "string", "description": "The turns as JSON, as in the JSON body."},
        "images": {"type": "array", "items": {"type": "string", "format": "binary"}},
    },
}


Result = TypeVar("Result")
Body = TypeVar("Body", bound=BaseModel)


class Problem(BaseModel):
    """Why a request was refused."""

    detail: str


REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": text}
    for status, text in (
        (400, "Not JSON, not a form, or not what this panel can be asked"),
        (408, "The request came too slowly"),
        (413, "Too large"),
        (415, "Neither JSON nor a form"),
        (422, "Breaks a rule, or a picture cannot be read"),
        (429, "Busy"),
        (503, "No answer in time"),
    )
}


class Health(BaseModel):
    """The process answers; `panel` is the configuration's name, `tasks` are those with experts.

    `fingerprint` changes with anything in the panel's folder that decides an answer.
    """

    status: str
    version: str
    panel: str
    fingerprint: str
    tasks: list[str]
    parameters: int

    @classmethod
    def of(cls, panel: Panel) -> "Health":
        return cls(
            status="ok",
            version=__version__,
            panel=panel.settings.name,
            fingerprint=panel.fingerprint,
            tasks=list(panel.tasks),
            parameters=panel.parameters.total,
        )


def add_api(app: FastAPI, service: Service, *, admin: bool = False) -> None:
    """Add the routes and the handlers of refusals to an application; those of ``/admin/`` where keys guard them."""
    app.include_router(_routes(service))
    if admin:
        app.include_router(_admin_routes(service))
    app.exception_handler(RefusedError)(_refused)


async def _refused(request: Request, error: RefusedError) -> Response:
    headers = {"Retry-After": "1"} if error.status in (429, 503) else None
    return JSONResponse({"detail": _printable(error.reason)}, status_code=error.status, headers=headers)


def _routes(service: Service) -> APIRouter:
    routes = APIRouter()
    content = {
        "application/json": {"schema": body_schema(QuestionIn)},
        "multipart/form-data": {"schema": _FORM},
    }

    @routes.post(
        "/v1/classify",
        responses=REFUSALS,
        openapi_extra={"requestBody": {"required": True, "content": content}},
        summary="Classify a picture, a dialogue, or a whole prompt",
    )
    async def classify(request: Request, response: Response) -> Answer:
        """JSON with pictures in base64, or a form with pictures as files."""
        with counted(service.metrics):
            read, n_bytes = await read_question(request, service.limits)
            found = await unless_gone(request, service.classify(read, client_of(request.scope), cost=n_bytes))
        response.headers[PANEL] = found.panel
        return found

    @routes.head("/healthz", include_in_schema=False)
    @routes.get("/healthz")
    async def healthz() -> Health:
        """Whether the process is up, and what it answers."""
        return Health.of(service.panel)

    @routes.get("/metrics", responses={200: {"content": {"text/plain": {}}}}, response_class=Response)
    async def metrics() -> Response:
        """Counters in Prometheus' text format."""
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4")

    return routes


def _admin_routes(service: Service) -> APIRouter:
    routes = APIRouter()

    @routes.post("/admin/reload", responses={422: {"model": Problem, "description": "The panel cannot be loaded"}})
    async def reload(response: Response, previous: bool = False) -> Health:
        """Take up the panel in the server's folder as it is now, or the one that its last training replaced.

        No request is dropped; if it cannot be loaded, the old one goes on answering.
        """
        try:
            panel = await asyncio.to_thread(service.reload, previous=previous)
        except MireError as error:
            raise RefusedError(422, str(error)) from error
        response.headers[PANEL] = panel.fingerprint
        return Health.of(panel)

    return routes


@contextmanager
def counted(metrics: Metrics) -> Iterator[None]:
    """Count what happens inside as one request, by its status, and its seconds."""
    started, status = time.monotonic(), 500
    try:
        yield
        status = 200
    except RefusedError as error:
        status = error.status
        raise
    finally:
        metrics.requests.labels(str(status)).inc()
        metrics.seconds.observe(time.monotonic() - started)


async def unless_gone(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """The work's result; it is cancelled when the client leaves.

    Raises:
        RefusedError: the client has left (499, which nobody reads), or as ``work``.
    """
    tasks = working, _ = asyncio.ensure_future(work), asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise RefusedError(499, "the client has left")
        return working.result()
    finally:
        for task in tasks:
            task.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def read_question(request: Request, limits: Limits) -> tuple[Callable[[], Posted], int]:
    """A request's body as what gives its question, which takes a while, and the body's bytes.

    Raises:
        RefusedError: neither JSON nor form (415), broken (400), or the client has left (499).
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if kind == "application/json":
            body = await request.body()
            return lambda: ask(_checked(parse_json(body, limits), limits), (), limits), len(body)
        if kind == "multipart/form-data":
            return await _from_form(request, limits)
    except ClientDisconnect as error:
        raise RefusedError(499, "the client has left") from error
    raise RefusedError(415, f"send application/json or multipart/form-data, got {kind!r}")


async def _from_form(request: Request, limits: Limits) -> tuple[Callable[[], Posted], int]:
    parts = request.form(
        max_files=limits.max_pictures, max_fields=limits.max_pictures, max_part_size=4 * limits.max_characters
    )
    try:
        async with parts as form:
            unknown = sorted(set(form) - {"prompt", "dialogue", "images"})
            if unknown:
                raise RefusedError(422, f"unknown field {unknown[0]!r}: a form has prompt, dialogue and images")
            files = [part for part in form.getlist("images") if isinstance(part, UploadFile)]
            if len(files) < len(form.getlist("images")):
                raise RefusedError(422, "'images' must be files; base64 belongs into a JSON body")
            pictures = [await file.read() for file in files]
            prompt, dialogue = form.get("prompt"), form.get("dialogue")
    except HTTPException as error:
        raise RefusedError(400, f"not a form: {error.detail}") from error

    def read() -> Posted:
        body: dict[str, Any] = {"prompt": prompt}
        if isinstance(dialogue, str):
            body["dialogue"] = parse_json(dialogue.encode("utf-8", "replace"), limits)
        return ask(_checked(body, limits), pictures, limits)

    return read, sum(map(len, pictures))


def parse_json(data: bytes, limits: Limits) -> Any:
    """A body's JSON.

    Raises:
        RefusedError: it is none (400), or holds very many values (422).
    """
    check_json(data, limits.max_json_nodes)
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise RefusedError(400, f"the body is not JSON: {error}") from error


def _checked(body: Any, limits: Limits) -> QuestionIn:
    """Pydantic's faults without the values: they may hold what no JSON answer can."""
    if isinstance(body, dict):  # before a fault is made of each of very many
        for key, most in (("dialogue", limits.max_turns), ("images", limits.max_pictures)):
            if isinstance(body.get(key), list) and len(body[key]) > most:
                raise RefusedError(422, f"{key!r} may have {most} entries, got {len(body[key])}")
    return validated(QuestionIn, body)


def validated(model: type[Body], body: Any) -> Body:
    """The body as a model.

    Raises:
        RefusedError: it does not fit (422).
    """
    try:
        return model.model_validate(body)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc'])) or 'body'}: {fault['msg']}" for fault in error.errors()[:5]]
        raise RefusedError(422, "; ".join(faults)[:2000]) from error


def body_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The body's schema with its parts inside, for OpenAPI resolves no ``$defs`` of a part."""
    schema = model.model_json_schema()
    parts = schema.pop("$defs", {})

    def inlined(node: Any) -> Any:
        if isinstance(node, list):
            return list(map(inlined, node))
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            return inlined(parts[node["$ref"].rpartition("/")[2]])
        return {key: inlined(value) for key, value in node.items() if key != "discriminator"}

    return dict(inlined(schema))


def _printable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
