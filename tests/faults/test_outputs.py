"""Outputs are plain files: links are followed, ``-`` is standard output, and nothing that is read is replaced."""

import csv
import io
import json
import os
import shutil
import socket
import stat
from pathlib import Path

import pytest
from bench import Bench, error_line, finish, rows
from records import dialogue_instruction

from ensemble import predict
from ensemble.prediction.outputs import Outputs
from ensemble.prediction.submission import STDOUT
from mire.atomic_files import atomic_write
from mire.cli import run
from mire.errors import DataError
from mire.plain_files import writable_file


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data.json"
    record = {"instruction": dialogue_instruction("用户: 会生锈吗"), "input": "", "output": "", "image": []}
    path.write_text(json.dumps([{"id": f"a{number}", **record} for number in range(3)]), encoding="utf-8")
    return path


def predicted(data: Path, out: str | Path, *extra: str, panel: Path | None = None) -> int:
    images = data.parent / "images"
    images.mkdir(exist_ok=True)
    usual = ["--data", str(data), "--images", str(images), "--panel", str(panel or data.parent / "panel")]
    return run(predict, [*usual, "--out", str(out), *extra])


@pytest.mark.parametrize(
    "name", ["/dev/null", "/dev/full", "/dev/stdout", "/dev/stderr", "/dev/fd/1", "/proc/self/fd/2"]
)
@pytest.mark.parametrize("option", ["--out", "--report", "--journal", "--probabilities"])
def test_a_device_or_stream_is_refused_before_work_starts(
    data: Path, capsys: pytest.CaptureFixture[str], option: str, name: str
) -> None:
    """There is no panel, which is not even noticed."""
    before = os.lstat(name).st_mode
    out = name if option == "--out" else data.parent / "o.csv"
    assert predicted(data, out, *([] if option == "--out" else [option, name])) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert name in line and ("a device" in line or "an open stream" in line)
    assert os.lstat(name).st_mode == before
    assert not list(Path(name).parent.glob("*.journal"))


def test_a_pipe_a_socket_and_a_folder_are_refused(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(data.parent / "pipe")
    (data.parent / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(data.parent / "socket"))
        for name in ("pipe", "socket", "folder"):
            assert predicted(data, data.parent / name) == 1
            assert f"must be a file to write, but it is a {name}; name another" in capsys.readouterr().err
    assert stat.S_ISFIFO((data.parent / "pipe").stat().st_mode)
    assert not list(data.parent.glob("*.journal"))


def test_a_link_to_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(DataError, match="is a link to itself"):
        writable_file(tmp_path / "loop")


@pytest.mark.parametrize("links", [["link"], ["second", "link"]], ids=["a link", "a link to a link"])
@pytest.mark.parametrize("there", [True, False], ids=["with a target", "dangling"])
def test_a_link_is_followed(tmp_path: Path, links: list[str], there: bool) -> None:
    target = tmp_path / "elsewhere" / "target.csv"
    target.parent.mkdir()
    if there:
        target.write_text("old")
    (tmp_path / "link").symlink_to("elsewhere/target.csv")
    (tmp_path / "second").symlink_to("link")
    with atomic_write(tmp_path / links[0]) as file:
        file.write("new")
    assert target.read_text() == "new"
    assert all((tmp_path / link).is_symlink() for link in links)
    assert [path.name for path in target.parent.iterdir()] == ["target.csv"]


def test_beside_standard_output_nothing_is_kept_but_what_is_named() -> None:
    assert Outputs.named(STDOUT) == Outputs(STDOUT, None, None)
    assert Outputs.named(STDOUT, Path("r"), Path("j")) == Outputs(STDOUT, Path("r"), Path("j"))
    beside = Outputs.named(Path("d/o.csv"))
    assert beside == Outputs(Path("d/o.csv"), Path("d/o.report.json"), Path("d/o.csv.journal"))


def test_json_and_csv_do_not_share_standard_output(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        predicted(data, "-", "--json")
    assert "both write to stdout" in capsys.readouterr().err


def test_the_input_is_never_the_output(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Under its own name, another, a link, and as the report or the journal of another CSV."""
    folder, text = data.parent, data.read_text()
    (folder / "link.csv").symlink_to("data.json")
    os.link(data, folder / "hard.csv")
    os.link(data, folder / "x.report.json")
    os.link(data, folder / "y.csv.journal")
    for out in (data, folder / "link.csv", folder / "hard.csv", folder / "x.csv", folder / "y.csv"):
        assert predicted(data, out) == 1
        assert f"would be overwritten, but it is the data file {data}" in capsys.readouterr().err
        assert data.read_text() == text
    assert predicted(data, folder / "o.csv", "--report", str(data)) == 1
    assert data.read_text() == text


def test_two_outputs_are_not_one_file(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert predicted(data, data.parent / "o.csv", "--report", str(data.parent / "o.csv")) == 1
    assert "but it is another output" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["settings.json", "image/weights.json", "dialogue/new.csv"])
def test_the_panel_is_never_the_output(bench: Bench, data: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert predicted(data, bench.panel / name, panel=bench.panel) == 1
    assert "but it is a file of the panel" in capsys.readouterr().err


def test_a_picture_is_never_the_output(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    (picture, *_) = sorted(bench.images.glob("*.png"))
    before = picture.read_bytes()
    done = bench.predict(picture)
    assert done.returncode == 1
    assert "but it is a picture of" in error_line(done)
    assert picture.read_bytes() == before


@pytest.mark.slow
def test_the_csv_goes_to_standard_output(bench: Bench, tmp_path: Path) -> None:
    """The same bytes as in a file, and nothing beside them."""
    assert bench.predict(tmp_path / "o.csv").returncode == 0
    command = [*bench.command(Path("-")), "--report", str(tmp_path / "named.json")]
    done = finish(command, bench.environment(PYTHONPATH=os.getcwd()))
    assert done.returncode == 0, done.stderr
    assert done.stdout.encode() == (tmp_path / "o.csv").read_bytes()
    assert len(list(csv.DictReader(io.StringIO(done.stdout.removeprefix("\ufeff"))))) == 24
    assert json.loads((tmp_path / "named.json").read_text())["rows"] == 24


@pytest.mark.slow
def test_a_prediction_follows_a_link(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "target.csv").write_text("old")
    (tmp_path / "link.csv").symlink_to("target.csv")
    assert bench.predict(tmp_path / "link.csv").returncode == 0
    assert (tmp_path / "link.csv").is_symlink()
    assert len(rows(tmp_path / "target.csv")) == 24
    shutil.rmtree(tmp_path)
