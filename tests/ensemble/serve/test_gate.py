"""Names, origins, keys and headers."""

import base64
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes import FakeVoter, image_panel

pytest.importorskip("gradio", reason="the extra 'serve' is not installed")
from fastapi.testclient import TestClient

from ensemble.serve.access import Access, check_exposure, read_keys
from ensemble.serve.app import create_app
from ensemble.serve.gate import page_policy
from mire.errors import UsageError

URL = "http://127.0.0.1:7860"
KEYS = ("first-key-0123456789", "second-key-0123456789")
PANEL = image_panel(FakeVoter("a", {"0": "购物车页面"}))


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with TestClient(create_app(PANEL, access=Access(named=("mire.example",))), base_url=URL) as opened:
        yield opened


@pytest.fixture(scope="module")
def locked() -> Iterator[TestClient]:
    with TestClient(create_app(PANEL, access=Access(keys=KEYS)), base_url=URL) as opened:
        yield opened


@pytest.mark.parametrize("host", ["127.0.0.1:7860", "localhost", "LOCALHOST:80", "[::1]:7860", "mire.example"])
def test_own_names_are_answered(client: TestClient, host: str) -> None:
    assert client.get("/healthz", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "192.168.1.5:7860", "", "a@b", "localhost:1@evil"]
)
@pytest.mark.parametrize("path", ["/", "/healthz", "/v1/classify", "/gradio_api/queue/data", "/docs"])
def test_other_names_are_refused(client: TestClient, host: str, path: str) -> None:
    refused = client.get(path, headers={"host": host})
    assert (refused.status_code, refused.json()["detail"].partition(";")[0]) == (
        403,
        "this name of the server is not trusted",
    )


def test_where_every_address_is_listened_on_any_address_is_a_name() -> None:
    access = Access("0.0.0.0")
    assert access.trusts("192.168.1.5")
    assert access.trusts("fe80::1")
    assert not access.trusts("evil.example")
    assert not Access().trusts("192.168.1.5")
    assert Access("shop.example").trusts("shop.example")


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:3000", "http://localhost:7860"])
def test_pages_of_other_sites_are_refused(client: TestClient, origin: str) -> None:
    for path in ("/v1/classify", "/gradio_api/upload", "/gradio_api/queue/join"):
        refused = client.post(path, headers={"origin": origin})
        assert (refused.status_code, refused.json()["detail"]) == (403, "requests of other sites' pages are refused")


@pytest.mark.parametrize(("origin", "host"), [(URL, None), ("https://mire.example", "mire.example")])
def test_own_pages_are_answered(client: TestClient, origin: str, host: str | None) -> None:
    headers = {"origin": origin} | ({"host": host} if host else {})
    assert client.get("/healthz", headers=headers).status_code == 200


def test_the_page_may_not_be_framed_and_runs_its_own_scripts_only(client: TestClient) -> None:
    page = client.get("/")
    policy = page.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "default-src 'self'" in policy
    assert "script-src 'self' 'unsafe-inline'" not in policy
    assert policy.count("'sha256-") >= 1
    for path in ("/", "/healthz", "/v1/classify", "/docs"):
        answer = client.get(path)
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_policy_holds_the_digest_of_each_inline_script() -> None:
    page = b'<script src="/a.js"></script><script>alert(1)</script>'
    # printf 'alert(1)' | openssl dgst -sha256 -binary | base64
    assert "'sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI='" in page_policy(page)
    assert page_policy(page).count("sha256-") == 1


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def basic(key: str) -> dict[str, str]:
    return {"authorization": f"Basic {base64.b64encode(f'anybody:{key}'.encode()).decode()}"}


@pytest.mark.parametrize("path", ["/", "/config", "/docs", "/openapi.json", "/metrics", "/gradio_api/queue/data"])
def test_without_a_key_nothing_is_answered(locked: TestClient, path: str) -> None:
    refused = locked.get(path)
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"].startswith("Basic ")
    assert "a key is needed" in refused.json()["detail"]


def test_health_needs_no_key(locked: TestClient) -> None:
    assert locked.get("/healthz").status_code == 200


@pytest.mark.parametrize("key", KEYS)
def test_each_key_opens_the_interface_and_the_page(locked: TestClient, key: str) -> None:
    for headers in (bearer(key), basic(key)):
        assert locked.post("/v1/classify", json={}, headers=headers).status_code == 422
        assert locked.get("/", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        bearer("wrong"),
        bearer(""),
        bearer(KEYS[0][:-1]),
        basic("wrong"),
        {"authorization": "Basic ?"},
        {"authorization": KEYS[0]},
    ],
)
def test_a_wrong_key_opens_nothing_and_is_not_logged(
    locked: TestClient, headers: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        for path in ("/v1/classify", "/gradio_api/queue/join", "/gradio_api/upload"):
            assert locked.post(path, headers=headers).status_code == 401
    assert KEYS[0][:-1] not in caplog.text


def test_keys_come_from_a_file_and_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRE_API_KEY", f"{KEYS[0]} {KEYS[1]}")
    (tmp_path / "keys").write_text("# who\nthird-key-0123456789\n\n")
    assert read_keys(None) == KEYS
    assert read_keys(tmp_path / "keys") == (*KEYS, "third-key-0123456789")


def test_broken_keys_are_refused_without_being_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MIRE_API_KEY", raising=False)
    with pytest.raises(UsageError, match=r"--api-key-file .*none cannot be read: No such file"):
        read_keys(tmp_path / "none")
    (tmp_path / "keys").write_text("# nothing\n")
    with pytest.raises(UsageError, match="holds no key; write one per line"):
        read_keys(tmp_path / "keys")
    (tmp_path / "keys").write_text("short\n")
    with pytest.raises(UsageError, match="key 1 must have at least 16 printable ASCII characters") as error:
        read_keys(tmp_path / "keys")
    assert "short" not in str(error.value)


def test_a_network_needs_keys_or_a_word() -> None:
    check_exposure("127.0.0.1", (), no_auth=False)
    check_exposure("192.168.1.5", KEYS, no_auth=False)
    check_exposure("192.168.1.5", (), no_auth=True)
    with pytest.raises(UsageError, match="--host 192.168.1.5 opens the service to a network: give keys"):
        check_exposure("192.168.1.5", (), no_auth=False)
    with pytest.raises(UsageError, match="or --no-auth, not both"):
        check_exposure("127.0.0.1", KEYS, no_auth=True)
