"""Nobody reads the server's files through the page: each function that takes files, with paths that are no uploads."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeVoter, image_panel

pytest.importorskip("gradio", reason="the extra 'serve' is not installed")
from fastapi.testclient import TestClient
from gradio.routes import file_upload_statuses
from gradio.utils import get_upload_folder
from PIL import Image

from ensemble.serve.app import create_app
from ensemble.serve.limits import Limits

URL = "http://127.0.0.1"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    patch = pytest.MonkeyPatch()
    patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("uploads")))
    app = create_app(image_panel(FakeVoter("a", {"0": "购物车页面"})), Limits(max_upload_bytes=4_000_000))
    with TestClient(app, base_url=URL) as opened:
        yield opened
    patch.undo()


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("elsewhere") / "secret.png"
    Image.new("RGB", (30, 20), "red").save(path)
    return path


def takers(client: TestClient) -> list[tuple[int, list[bool]]]:
    """Each function's place, and which of its inputs take files."""
    config = client.get("/config").json()
    kinds = {part["id"]: part["type"] for part in config["components"]}
    files = ("image", "file", "multimodaltextbox", "dataset")
    found = [(fn["id"], [kinds[part] in files for part in fn["inputs"]]) for fn in config["dependencies"]]
    return [(place, takes) for place, takes in found if any(takes)]


def file(path: str) -> dict[str, Any]:
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


def body(place: int, takes: list[bool], path: str) -> dict[str, Any]:
    return {"fn_index": place, "data": [file(path) if taken else "" for taken in takes], "session_hash": "abc"}


def outcome(client: TestClient, sent: dict[str, Any]) -> str:
    """Everything that the queue says about a call."""
    joined = client.post("/gradio_api/queue/join", json=sent)
    if joined.status_code != 200:
        return str(joined.text)
    said = ""
    with client.stream("GET", f"/gradio_api/queue/data?session_hash={sent['session_hash']}") as events:
        for line in events.iter_lines():
            said += line
            if "process_completed" in line:
                return said
    return said


def test_files_outside_the_uploads_are_refused_by_every_function(client: TestClient, secret: Path) -> None:
    found = takers(client)
    assert len(found) >= 4
    for place, takes in found:
        for path in (str(secret), f"{get_upload_folder()}/../{secret.name}", "http://127.0.0.1:1/a.png", "file:///etc"):
            for door in ("queue/join", "run/predict"):
                answer = client.post(f"/gradio_api/{door}", json=body(place, takes, path))
                assert (answer.status_code, answer.json()) == (422, {"detail": "a call may name uploaded files only"})


def test_gradio_itself_refuses_them_too(client: TestClient, secret: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ensemble.serve.page.calls.check_upload", lambda path: None)
    monkeypatch.setattr("ensemble.serve.page.calls.check_call", lambda called, functions: None)
    for place, takes in takers(client):
        said = outcome(client, body(place, takes, str(secret)))
        assert '"success":false' in said, said


@pytest.mark.parametrize("query", ["", "?upload_id=a"])
def test_an_upload_holds_no_fields_which_would_stay_in_memory(client: TestClient, query: str) -> None:
    answer = client.post(f"/gradio_api/upload{query}", files={"files": (None, b"a")})
    assert (answer.status_code, answer.text) == (400, "Too many fields. Maximum number of fields is 0.")


def test_nothing_stays_of_an_upload_that_was_asked_for(client: TestClient) -> None:
    assert client.post("/gradio_api/upload?upload_id=once", files={"files": ("a.png", b"a")}).status_code == 200
    assert '{"msg": "done"}' in client.get("/gradio_api/upload_progress?upload_id=once").text
    assert "once" not in file_upload_statuses._signals


def test_a_stream_of_nobody_ends_and_is_no_error_of_the_server(client: TestClient) -> None:
    answer = client.get("/gradio_api/queue/data?session_hash=nobody")
    assert answer.status_code == 200 and '"session_not_found":true' in answer.text


def test_a_link_in_the_uploads_is_followed_to_its_end(client: TestClient, secret: Path) -> None:
    link = Path(get_upload_folder()) / "link.png"
    link.symlink_to(secret)
    place, takes = takers(client)[0]
    assert client.post("/gradio_api/queue/join", json=body(place, takes, str(link))).status_code == 422
    assert client.get(f"/gradio_api/file={link}").status_code == 422


def test_a_pipe_does_not_stop_the_server(client: TestClient) -> None:
    pipe = Path(get_upload_folder()) / "pipe"
    os.mkfifo(pipe)
    place, takes = takers(client)[0]
    assert client.post("/gradio_api/queue/join", json=body(place, takes, str(pipe))).status_code == 422
    assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "api/predict",
        "call/predict",
        "proxy=http://127.0.0.1:1/",
        "process_recording",
        "run-history/buckets",
        "stream/a/b/c/playlist.m3u8",
        "dev/reload",
        "openapi.json",
        f"queue/data?session_hash={'a' * 300}",
        f"upload?upload_id={'a' * 300}",
        f"heartbeat/{'a' * 65}",
    ],
)
def test_what_the_page_does_not_use_is_not_there(client: TestClient, path: str) -> None:
    for method in ("GET", "POST"):
        assert client.request(method, f"/gradio_api/{path}").status_code == 404


def test_large_and_strange_calls_are_refused_before_they_are_parsed(client: TestClient) -> None:
    headers = {"content-type": "application/json"}
    for content, status in ((b" " * (600 * 2**10), 413), (b"[" * 100_000, 422), (b"{", 400), (b"[{}," * 30_000, 422)):
        assert client.post("/gradio_api/queue/join", content=content, headers=headers).status_code == status


def test_an_upload_is_answered(client: TestClient, secret: Path) -> None:
    (path,) = client.post("/gradio_api/upload", files={"files": ("a.png", secret.read_bytes())}).json()
    place, takes = next((place, takes) for place, takes in takers(client) if takes == [True])
    said = outcome(client, body(place, takes, path))
    assert '"success":true' in said
    assert "mire-label" in said


def test_the_same_bytes_lie_elsewhere_each_time(client: TestClient) -> None:
    """Else their path, asked for later, would tell whether somebody has sent them since."""
    sent = {"files": ("a.png", b"the same bytes")}
    first, second = (client.post("/gradio_api/upload", files=sent).json()[0] for _ in range(2))
    assert first != second


def test_a_function_that_answers_takes_no_direct_call(client: TestClient, secret: Path) -> None:
    (path,) = client.post("/gradio_api/upload", files={"files": ("a.png", secret.read_bytes())}).json()
    place, takes = next((place, takes) for place, takes in takers(client) if takes == [True])
    assert client.post("/gradio_api/run/predict", json=body(place, takes, path)).status_code == 404


def test_a_call_that_names_very_many_files_is_refused(client: TestClient, secret: Path) -> None:
    """Each is looked for on the disk, by the thread that answers everybody."""
    (path,) = client.post("/gradio_api/upload", files={"files": ("a.png", secret.read_bytes())}).json()
    call = {"fn_index": 0, "data": [[file(path)] * 65], "session_hash": "abc"}
    answer = client.post("/gradio_api/queue/join", json=call)
    assert (answer.status_code, answer.json()["detail"]) == (422, "a call of the page may name 64 files, got 65")


@pytest.mark.parametrize("door", ["queue/join", "run/predict"])
@pytest.mark.parametrize(
    "call",
    [{}, {"fn_index": 99}, {"fn_index": -1}, {"fn_index": [0]}, {"fn_index": 0, "data": {}},
     {"fn_index": 0, "data": []}, {"fn_index": 0, "data": [None, None]}, {"fn_index": 1, "data": [10**6]},
     {"fn_index": 1, "data": ["x"]}, {"fn_index": 1, "data": [-1]}],
    ids=str,
)  # fmt: skip
def test_a_call_that_the_page_never_makes_is_refused(client: TestClient, door: str, call: dict[str, Any]) -> None:
    """Gradio answers most of them with 500 and a traceback in the log."""
    answer = client.post(f"/gradio_api/{door}", json={"data": [None], "session_hash": "abc", **call})
    assert (answer.status_code, answer.json()["detail"]) == (422, "the page makes no such call")


def test_an_upload_of_very_many_files_is_refused(client: TestClient) -> None:
    """Each is written, digested and moved by the thread that answers everybody."""
    sent = [("files", ("a.png", b"x"))]
    assert len(client.post("/gradio_api/upload", files=sent * 64).json()) == 64
    answer = client.post("/gradio_api/upload", files=sent * 65)
    assert (answer.status_code, answer.json()["detail"]) == (422, "an upload may hold 64 files")


def test_an_upload_that_turns_out_too_large_is_refused_in_one_answer(client: TestClient) -> None:
    """Its length was not announced, so Gradio is at work on it already."""
    head = b'--x\r\ncontent-disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
    pieces = (head if number == 0 else bytes(2**20) for number in range(5))
    answer = client.post(
        "/gradio_api/upload", content=pieces, headers={"content-type": "multipart/form-data; boundary=x"}
    )
    assert (answer.status_code, answer.json()["detail"]) == (413, "a request may have 4000000 bytes")


@pytest.mark.parametrize("value", [5432154321, "5432154321", ["5432154321"]])
def test_a_value_of_the_wrong_type_leaves_one_line_in_the_log_without_it(
    client: TestClient, value: Any, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    place, _ = next((place, takes) for place, takes in takers(client) if takes == [True])
    said = outcome(client, {"fn_index": place, "data": [value], "session_hash": "abc"})
    assert '"success":false' in said, said
    printed = capfd.readouterr()
    assert (printed.out, printed.err.count("Traceback")) == ("", 0)
    (line,) = [record.getMessage() for record in caplog.records if record.name == "ensemble.serve.page.page"]
    assert line.startswith("a call of the page failed: ")
    assert "5432154321" not in caplog.text + printed.err
