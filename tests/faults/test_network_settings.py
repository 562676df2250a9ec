"""Addresses, proxies and ports that cannot be used: one line at most, never a traceback."""

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from mire import hub
from mire.cache import cache_root
from mire.errors import MireError, UsageError


@pytest.fixture(autouse=True)
def quiet_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for upper in ("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(upper, raising=False)
        monkeypatch.delenv(upper.lower(), raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "TIMEOUT_SECONDS", 0.5)
    hub.offline_reason.cache_clear()
    yield
    hub.offline_reason.cache_clear()


@pytest.mark.parametrize(
    "endpoint",
    ["localhost:1", "hub.example", "http://127.0.0.1:port", "http://127.0.0.1:99999", "http://", "nonsense://x"],
)
def test_an_endpoint_that_is_no_address(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    assert str(hub.offline_reason()).startswith(f"{endpoint} does not answer (")
    assert constants.HF_HUB_OFFLINE


@pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH\r\n", b"", b"HTTP/1.1 abc\r\n\r\n", b"\0" * 99])
def test_a_server_that_speaks_no_http(monkeypatch: pytest.MonkeyPatch, answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def reply() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(answer)

        threading.Thread(target=reply).start()
        endpoint = f"http://127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setattr(constants, "ENDPOINT", endpoint)
        assert str(hub.offline_reason()).startswith(f"{endpoint} does not answer (")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALL_PROXY", "socks5://127.0.0.1:1080"),
        ("all_proxy", "socks4://127.0.0.1:1080"),
        ("HTTPS_PROXY", "http://127.0.0.1:port"),
        ("http_proxy", "ftp://127.0.0.1:21"),
        ("HTTP_PROXY", "http://127.0.0.1:99999"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str, value: str
) -> None:
    import httpx

    monkeypatch.setenv("HTTPS_PROXY" if name != "HTTPS_PROXY" else "HTTP_PROXY", "http://127.0.0.1:3128")
    monkeypatch.setenv(name, value)
    try:
        httpx.Client().close()
    except Exception:
        pass
    else:
        pytest.skip("httpx can use it here")
    hub.drop_unusable_proxies()
    httpx.Client().close()
    assert name not in os.environ
    assert "http://127.0.0.1:3128" in (os.environ.get("HTTPS_PROXY"), os.environ.get("HTTP_PROXY"))
    assert [message for message in caplog.messages if message.startswith(f"{name} is passed over")]


def test_a_proxy_that_can_be_used_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:3128")
    monkeypatch.setenv("NO_PROXY", "localhost")
    hub.drop_unusable_proxies()
    assert (os.environ["HTTP_PROXY"], os.environ["NO_PROXY"]) == ("http://127.0.0.1:3128", "localhost")


@pytest.mark.parametrize("port", [-1, 65536, 10**9])
def test_a_number_that_no_port_has(port: int) -> None:
    from ensemble.serve.listening import taken_address

    with (
        pytest.raises(UsageError, match=f"--port must be from 0 to 65535, got {port}"),
        taken_address("127.0.0.1", port),
    ):
        pass


def test_a_port_in_use_is_one_line() -> None:
    from ensemble.serve.listening import taken_address

    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with (
            pytest.raises(MireError, match=f"cannot listen on 127.0.0.1, port {port}: "),
            taken_address("127.0.0.1", port),
        ):
            pass


@pytest.mark.parametrize("host", ["203.0.113.9", "no such host", "a" * 300, "::zz"])
def test_an_address_that_is_not_this_machines(host: str) -> None:
    from ensemble.serve.listening import taken_address

    with pytest.raises(MireError, match="cannot listen on "), taken_address(host, 0):
        pass


@pytest.mark.parametrize(
    ("own", "shared", "expected"),
    [
        ("/a", "/b", "/a"),
        ("", "/b", "/b/mire"),
        ("", "", "/home/me/.cache/mire"),
        ("", "relative", "/home/me/.cache/mire"),
    ],
)
def test_the_cache_lies_where_the_convention_says(
    monkeypatch: pytest.MonkeyPatch, own: str, shared: str, expected: str
) -> None:
    monkeypatch.setenv("MIRE_CACHE", own)
    monkeypatch.setenv("XDG_CACHE_HOME", shared)
    monkeypatch.setenv("HOME", "/home/me")
    assert cache_root() == Path(expected)
