"""Folders that cannot be written, files that cannot be read: one line, nothing lost, nothing half done."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench import Bench, error_line, finish, report, rows

# Root may read and write whatever the modes say, so root's commands run without that power.
BOUND = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"] if os.geteuid() == 0 else []

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(BOUND) and shutil.which("setpriv") is None, reason="root, and util-linux is missing"),
]


@pytest.fixture
def closed() -> Iterator[list[tuple[Path, int]]]:
    """Paths with the modes that are set on them for the test; opened again afterwards."""
    paths: list[tuple[Path, int]] = []
    yield paths
    for path, _ in paths:
        path.chmod(0o755)


def close(closed: list[tuple[Path, int]], path: Path, mode: int) -> Path:
    path.chmod(mode)
    closed.append((path, mode))
    return path


def predict(bench: Bench, out: Path, **options: Path) -> subprocess.CompletedProcess[str]:
    return finish([*BOUND, *bench.command(out, **options)], bench.environment())


def test_a_folder_that_cannot_be_written(bench: Bench, tmp_path: Path, closed: list[tuple[Path, int]]) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "s.csv").write_text("old")
    done = predict(bench, close(closed, folder, 0o555) / "s.csv")
    assert done.returncode == 1
    assert error_line(done).startswith(f"error: the journal {folder / 's.csv'}.journal cannot be written: ")
    assert "or choose a writable folder" in error_line(done)
    assert [path.name for path in folder.iterdir()] == ["s.csv"] and (folder / "s.csv").read_text() == "old"


def test_a_folder_that_cannot_be_made(bench: Bench, tmp_path: Path, closed: list[tuple[Path, int]]) -> None:
    close(closed, tmp_path, 0o555)
    done = predict(bench, tmp_path / "new" / "s.csv")
    assert (done.returncode, error_line(done)) == (1, f"error: Permission denied ({tmp_path / 'new'})")


def test_a_folder_that_is_closed_between_two_runs_keeps_what_is_finished(
    bench: Bench, tmp_path: Path, closed: list[tuple[Path, int]]
) -> None:
    out = tmp_path / "s.csv"
    assert bench.predict(out).returncode == 0
    whole = out.read_bytes()
    out.unlink()
    close(closed, tmp_path, 0o555)
    done = predict(bench, out)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert not out.exists()
    tmp_path.chmod(0o755)
    again = bench.predict(out)
    assert "24/24 samples were answered before; going on" in again.stderr
    assert out.read_bytes() == whole


def test_a_data_file_that_cannot_be_read(bench: Bench, tmp_path: Path, closed: list[tuple[Path, int]]) -> None:
    data = close(closed, Path(shutil.copy(bench.data, tmp_path / "d.json")), 0)
    done = predict(bench, tmp_path / "s.csv", data=data)
    assert (done.returncode, error_line(done)) == (1, f"error: Permission denied ({data})")


def test_a_picture_that_cannot_be_read_is_marked(bench: Bench, tmp_path: Path, closed: list[tuple[Path, int]]) -> None:
    shutil.copytree(bench.images, tmp_path / "images")
    picture = close(closed, sorted((tmp_path / "images").iterdir())[0], 0)
    command = bench.command(tmp_path / "s.csv")
    command[command.index("--images") + 1] = str(tmp_path / "images")
    done = finish([*BOUND, *command], bench.environment())
    assert done.returncode == 0, done.stderr
    assert len(rows(tmp_path / "s.csv")) == 24
    (problems,) = report(tmp_path / "s.csv")["degraded"].values()
    assert f"picture '{picture.name}' cannot be read: Permission denied" in problems


@pytest.mark.parametrize("place", ["settings.json", "image/clip_lightgbm/model.txt", "dialogue/weights.json"])
def test_a_panel_that_cannot_be_read(bench: Bench, tmp_path: Path, closed: list[tuple[Path, int]], place: str) -> None:
    shutil.copytree(bench.panel, tmp_path / "panel")
    close(closed, tmp_path / "panel" / place, 0)
    done = predict(bench, tmp_path / "s.csv", panel=tmp_path / "panel")
    assert done.returncode == 1
    assert str(tmp_path / "panel") in error_line(done)
    assert not (tmp_path / "s.csv").exists()


def test_a_panel_that_cannot_be_written_is_not_begun(
    bench: Bench, tmp_path: Path, closed: list[tuple[Path, int]]
) -> None:
    close(closed, tmp_path, 0o555)
    command = [sys.executable, "-m", "ensemble.train", "dialogue", "--data", str(bench.data), "--images"]
    command += [str(bench.images), "--panel", str(tmp_path / "p"), "--config", str(bench.root / "tiny.yaml")]
    done = finish([*BOUND, *command], bench.environment())
    assert (done.returncode, error_line(done)) == (1, f"error: Permission denied ({tmp_path / 'p'})")


@pytest.mark.parametrize("cache", ["new", "old"])
def test_a_cache_that_cannot_be_written(
    bench: Bench, tmp_path: Path, closed: list[tuple[Path, int]], cache: str
) -> None:
    """A cache of another machine may be mounted for reading only: where it lacks something, one line says so."""
    root = tmp_path / "cache"
    root.mkdir()
    if cache == "old":
        assert finish(bench.command(tmp_path / "warm.csv"), bench.environment(MIRE_CACHE=str(root))).returncode == 0
        for path in root.glob("*.sqlite"):
            path.chmod(0o444)
    close(closed, root, 0o555)
    done = finish([*BOUND, *bench.command(tmp_path / "s.csv")], bench.environment(MIRE_CACHE=str(root)))
    if cache == "old":
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "s.csv").read_bytes() == (tmp_path / "warm.csv").read_bytes()
    else:
        assert done.returncode == 1
        assert str(root) in error_line(done)
