"""Input that can be read only once: a pipe's content is kept, so that every record counts; a device is refused."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from records import dialogue_instruction

from ensemble import score
from mire import plain_files, validate
from mire.cli import run
from router import route

RECORDS = [
    {"id": f"k{number}", "instruction": dialogue_instruction("用户: 会生锈吗"), "output": "是否会生锈", "image": []}
    for number in range(40)
]
CONFIG = b"""
name: mine
folds: 2
panel: {image: [clip_lightgbm], dialogue: [dialogue_text]}
clip: {model: mire-nano, weights: random}
"""
FORMATS = {
    "lines": "".join(json.dumps(record) + "\n" for record in RECORDS).encode(),
    "an array": json.dumps(RECORDS, indent=1).encode(),
    "an array with a mark": b"\xef\xbb\xbf" + json.dumps(RECORDS).encode(),
}


@contextmanager
def piped(content: bytes) -> Iterator[str]:
    """The name of an open pipe, as ``<(...)`` gives it, that holds this content once."""
    reader, writer = os.pipe()

    def fill() -> None:
        with open(writer, "wb") as file:
            file.write(content)

    filling = threading.Thread(target=fill)
    filling.start()
    yield f"/dev/fd/{reader}"
    os.close(reader)
    filling.join()


@pytest.mark.parametrize("name", FORMATS)
def test_validate_counts_every_record(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    with piped(FORMATS[name]) as data:
        assert run(validate, ["--data", data, "--images", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "40 samples, 1 labels: 是否会生锈 40"


@pytest.mark.parametrize("name", FORMATS)
def test_route_answers_every_record(capsys: pytest.CaptureFixture[str], name: str) -> None:
    with piped(FORMATS[name]) as data:
        assert run(route, ["--data", data]) == 0
    assert [json.loads(line)["id"] for line in capsys.readouterr().out.splitlines()] == [f"k{n}" for n in range(40)]


def test_parquet_comes_through_a_pipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pyarrow.Table.from_pylist(RECORDS), tmp_path / "a.parquet")
    with piped((tmp_path / "a.parquet").read_bytes()) as data:
        assert run(validate, ["--data", data, "--images", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "40 samples, 1 labels: 是否会生锈 40"


def test_score_reads_two_pipes(capsys: pytest.CaptureFixture[str]) -> None:
    rows = "id,predict\n" + "".join(f"k{number},是否会生锈\n" for number in range(40))
    with piped(FORMATS["lines"]) as truth, piped(rows.encode()) as submission:
        assert run(score, ["--truth", truth, "--submission", submission]) == 0
    assert json.loads(capsys.readouterr().out)["n"] == 40


def test_a_configuration_comes_through_a_pipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "data.jsonl").write_bytes(FORMATS["lines"])
    usual = ["--data", str(tmp_path / "data.jsonl"), "--images", str(tmp_path)]
    with piped(b"name: mine\nunknown: 1\n") as config:
        assert run(validate, [*usual, "--config", config]) == 1
    assert config in capsys.readouterr().err
    with piped(CONFIG) as config:
        assert run(validate, [*usual, "--config", config]) == 0


def test_standard_input_from_a_pipe() -> None:
    command = [sys.executable, "-m", "router.route", "--data", "/dev/stdin"]
    done = subprocess.run(command, input=FORMATS["lines"], capture_output=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 40


def test_predict_answers_every_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command reads the whole of it: what it hands on is looked at, no panel is needed."""
    from ensemble import predict
    from ensemble.prediction import predict_file as room
    from mire.samples import read_samples

    seen: list[str] = []
    monkeypatch.setattr(
        room, "predict_file", lambda data, images, *_, **__: seen.extend(s.id for s in read_samples(data, images)) or {}
    )
    usual = ["--images", str(tmp_path), "--panel", str(tmp_path), "--out", str(tmp_path / "o.csv")]
    with piped(FORMATS["lines"]) as data:
        assert run(predict, ["--data", data, *usual]) == 0
    assert seen == [f"k{number}" for number in range(40)]


def test_errors_name_the_pipe_as_it_was_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with piped(b"[]") as data:
        assert run(validate, ["--data", data, "--images", str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"error: {data} holds no sample\n"


def test_what_was_kept_is_gone_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with piped(FORMATS["lines"]) as data:
        assert run(validate, ["--data", data, "--images", str(tmp_path)]) == 0
    assert not list(tmp_path.iterdir())


def test_a_pipe_that_nobody_writes_to_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plain_files, "_PATIENCE_SECONDS", 0.1)
    os.mkfifo(tmp_path / "pipe")
    assert run(validate, ["--data", str(tmp_path / "pipe"), "--images", str(tmp_path)]) == 1
    assert "nothing came through the pipe" in capsys.readouterr().err


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/random", "socket"])
@pytest.mark.parametrize("option", ["--truth", "--submission"])
def test_a_device_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], path: str, option: str) -> None:
    (tmp_path / "data.jsonl").write_bytes(FORMATS["lines"])
    (tmp_path / "rows.csv").write_text("id,predict\n")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        given = {"--truth": str(tmp_path / "data.jsonl"), "--submission": str(tmp_path / "rows.csv")}
        given[option] = str(tmp_path / path)
        assert run(score, [part for pair in given.items() for part in pair]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {tmp_path / path} must be a plain file, but it is a ")
