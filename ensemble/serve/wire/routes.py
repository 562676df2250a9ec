"""The routes of the wire formats; keys, limits, queue and passes are those of ``/v1/classify``."""

from typing import Any, Literal

from fastapi import FastAPI, Request, Response
from pydantic import BaseModel
from starlette.requests import ClientDisconnect

from ensemble.panel import Panel
from ensemble.serve.api import REFUSALS, body_schema, counted, parse_json, unless_gone, validated
from ensemble.serve.limits import RefusedError, client_of
from ensemble.serve.service import Service
from ensemble.serve.wire import decisions, systemone
from ensemble.serve.wire.decided import Decided, decide
from ensemble.serve.wire.request_ids import PANEL


class ModelOut(BaseModel):
    """The panel, and the labels that each of its tasks answers; a panel knows no date, so `created` is 0."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "mire"
    labels: dict[str, list[str]]


class ModelsOut(BaseModel):
    """All models: one."""

    object: Literal["list"] = "list"
    data: list[ModelOut]


def add_wire(app: FastAPI, service: Service) -> None:
    """Add the routes to an application."""

    @app.post("/v1/decisions", responses=REFUSALS, openapi_extra=_takes(decisions.DecisionsIn))
    async def post_decisions(request: Request, response: Response) -> decisions.DecisionsOut:
        """Questions on the panel's labels, as the client `openai` asks them with `client.decisions.create`."""
        decided = await _decided(request, service, decisions.DecisionsIn)
        response.headers[PANEL] = decided.panel.fingerprint
        return decisions.response(decided, _model(decided.panel))

    @app.post("/v1/systemone", responses=REFUSALS, openapi_extra=_takes(systemone.SystemOneIn))
    async def post_systemone(request: Request, response: Response) -> systemone.SystemOneOut:
        """Questions on the panel's labels, as clients of System One ask them."""
        decided = await _decided(request, service, systemone.SystemOneIn)
        response.headers[PANEL] = decided.panel.fingerprint
        return systemone.response(decided, _model(decided.panel))

    @app.get("/v1/models")
    async def get_models() -> ModelsOut:
        """The panel as a model, with what can be asked."""
        panel = service.panel
        labels = {task: list(taxonomy.labels) for task, taxonomy in panel.taxonomies.items()}
        return ModelsOut(data=[ModelOut(id=_model(panel), labels=labels)])


def _model(panel: Panel) -> str:
    return f"{panel.settings.name}-{panel.fingerprint}".rstrip("-")


def _takes(model: type[BaseModel]) -> dict[str, Any]:
    content = {"application/json": {"schema": body_schema(model)}}
    return {"requestBody": {"required": True, "content": content}}


async def _decided(
    request: Request, service: Service, model: type[decisions.DecisionsIn] | type[systemone.SystemOneIn]
) -> Decided:
    with counted(service.metrics):
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise RefusedError(415, f"send application/json, got {kind!r}")
        try:
            data = await request.body()
        except ClientDisconnect as error:
            raise RefusedError(499, "the client has left") from error

        def read() -> decisions.DecisionsIn | systemone.SystemOneIn:
            return validated(model, parse_json(data, service.limits))

        return await unless_gone(request, decide(service, read, client_of(request.scope), cost=len(data)))
