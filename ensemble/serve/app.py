"""The application: interface, page, limits."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI

from ensemble.decisions.shadow import Shadow
from ensemble.panel import Panel
from ensemble.serve.access import Access
from ensemble.serve.api import add_api
from ensemble.serve.body_limit import BodyLimit
from ensemble.serve.gate import Gate
from ensemble.serve.limits import Limits
from ensemble.serve.service import Service
from ensemble.serve.wire.docs_page import add_docs
from ensemble.serve.wire.request_ids import RequestIds
from ensemble.serve.wire.root_path import RootPath
from ensemble.serve.wire.routes import add_wire
from mire import __version__


def create_app(
    panel: Panel,
    limits: Limits = Limits(),  # noqa: B008
    *,
    access: Access = Access(),  # noqa: B008
    folder: Path | None = None,
    root_path: str = "",
    page: bool = True,
    keep_cache: bool = True,
    shadow: Shadow | None = None,
) -> FastAPI:
    """The whole application over a loaded panel; without ``page`` the HTTP interface only.

    ``folder`` is the panel's, from where ``state.service.reload`` takes up the next one, ``root_path`` the prefix that
    a gateway puts before every path. Without ``keep_cache`` nothing computed from a picture outlives its answer.
    ``shadow`` is a second panel to compare answers with.
    """
    service = Service(panel, limits, folder=folder, keep_cache=keep_cache, shadow=shadow)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        service.close()

    app = FastAPI(title="MIRE", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.service = service
    if root_path:
        app.servers = [{"url": root_path}]
    add_api(app, service, admin=bool(access.keys))
    add_wire(app, service)
    add_docs(app)
    if page:
        from ensemble.serve.page.page import mount_page

        app = mount_page(app, service, root_path=root_path)
    app.add_middleware(BodyLimit, limits=limits, memory=service.memory, disk=service.disk)
    app.add_middleware(Gate, access=access)
    app.add_middleware(RequestIds, fingerprint=lambda: service.panel.fingerprint)
    if root_path:
        app.add_middleware(RootPath, prefix=root_path)
    return app
