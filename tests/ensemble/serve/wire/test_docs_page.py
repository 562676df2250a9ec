"""The interface's own page, and methods that a path does not have, with the page mounted below."""

from collections.abc import Iterator

import pytest
from fakes import FakeVoter, image_panel

pytest.importorskip("gradio", reason="the extra 'serve' is not installed")
from fastapi import FastAPI
from fastapi.testclient import TestClient

from ensemble.serve.app import create_app


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    app: FastAPI = create_app(image_panel(FakeVoter("a", {})), page=False)
    app.mount("/", FastAPI())  # as the page is
    with TestClient(app, base_url="http://127.0.0.1") as opened:
        yield opened


def test_the_docs_need_no_network_and_no_script(client: TestClient) -> None:
    page = client.get("/docs")
    assert page.status_code == 200
    assert "script-src" in page.headers["content-security-policy"]
    assert "http://" not in page.text and "https://" not in page.text and "<script" not in page.text
    for path in ("/v1/classify", "/v1/decisions", "/v1/systemone", "/v1/models", "/healthz", "/metrics"):
        assert path in page.text


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/classify", "POST"),
        ("PUT", "/v1/decisions", "POST"),
        ("POST", "/v1/models", "GET"),
        ("DELETE", "/healthz", "GET, HEAD"),
        ("POST", "/metrics", "GET"),
    ],
)
def test_other_methods_get_405(client: TestClient, method: str, path: str, allowed: str) -> None:
    refused = client.request(method, path)
    assert (refused.status_code, refused.headers["allow"]) == (405, allowed)
    assert refused.json()["detail"] == f"{method} is not answered here, only {allowed}"
