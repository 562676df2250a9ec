"""``/docs``: the interface as one page that needs neither network nor scripts; and 405 for methods it does not have."""

import json
from functools import partial

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse
from jinja2 import Environment, PackageLoader

_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


def add_docs(app: FastAPI) -> None:
    """Add the page, and the refusal of methods that the paths so far do not have.

    Without it the page that is mounted below the interface would answer them with 404.
    """
    schema = app.openapi()
    loader = PackageLoader("ensemble.serve.wire", package_path="")
    environment = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["pretty"] = partial(json.dumps, ensure_ascii=False, indent=2)
    page = environment.get_template("docs.html").render(schema=schema)

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(page)

    for path, operations in schema["paths"].items():
        allowed = {method.upper() for method in operations} | ({"HEAD"} if path == "/healthz" else set())
        refuse = partial(_refuse, ", ".join(sorted(allowed)))
        app.add_route(path, refuse, methods=sorted(_METHODS - allowed), include_in_schema=False)


async def _refuse(allowed: str, request: Request) -> JSONResponse:
    reason = f"{request.method} is not answered here, only {allowed}"
    return JSONResponse({"detail": reason}, status_code=405, headers={"Allow": allowed})
