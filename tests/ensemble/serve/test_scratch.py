"""What requests leave: who can read it, and how long it stays."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from ensemble.serve.scratch import KEEP_SECONDS, private_scratch, sweep

NOW = 1_700_000_000.0


def test_the_folder_is_the_owners_alone_and_goes_in_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with private_scratch() as folder:
        made = Path(tempfile.mkdtemp())
        (made / "submit.csv").write_text("a")
        assert folder in made.parents
        assert (folder.stat().st_mode & 0o777, (made / "submit.csv").stat().st_mode & 0o777) == (0o700, 0o600)
        assert os.environ["GRADIO_TEMP_DIR"] == str(folder / "uploads")
    assert list(tmp_path.iterdir()) == []
    assert tempfile.gettempdir() == str(tmp_path)


def test_what_a_killed_server_left_is_deleted_and_a_running_ones_stays(tmp_path: Path) -> None:
    code = (
        "import os, tempfile\nfrom pathlib import Path\nfrom ensemble.serve.scratch import private_scratch\n"
        "with private_scratch() as folder:\n"
        "    (folder / 'submit.csv').write_text('a')\n    print(folder, flush=True)\n"
        "    {end}\n"
    )
    run = {"env": {**os.environ, "TMPDIR": str(tmp_path)}, "text": True, "cwd": Path(__file__).parents[3]}
    killed = subprocess.run(  # type: ignore[call-overload]
        [sys.executable, "-c", code.replace("{end}", "os.kill(os.getpid(), 9)")], stdout=subprocess.PIPE, **run
    )
    left = Path(killed.stdout.strip())
    assert left.is_dir()
    waits = code.replace("{end}", "input()")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", waits], **pipes, **run) as first:  # type: ignore[call-overload]
        running = Path(first.stdout.readline().strip())
        assert not left.exists()
        subprocess.run([sys.executable, "-c", code.replace("{end}", "pass")], check=True, capture_output=True, **run)  # type: ignore[call-overload]
        assert (running / "submit.csv").is_file()
        first.communicate("\n")
    assert list(tmp_path.iterdir()) == []


def test_files_go_after_an_hour_but_for_those_that_were_there(tmp_path: Path) -> None:
    for name, age in (("example/a.png", 9 * KEEP_SECONDS), ("old/b.csv", KEEP_SECONDS + 1), ("new/c.csv", 5)):
        path = tmp_path / name
        path.parent.mkdir()
        path.write_text("abc")
        for touched in (path, path.parent):
            os.utime(touched, (NOW - age, NOW - age))
    kept = frozenset({tmp_path / "example", tmp_path / "example" / "a.png"})
    sweep(tmp_path, kept, now=NOW)
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {"a.png", "c.csv"}


def test_a_folder_that_goes_meanwhile_does_not_end_the_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests delete their folders while the sweeper walks over them."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    scan = os.scandir

    def vanishing(path: str | Path) -> object:
        if Path(path) == tmp_path / "b":  # which the folder around it has listed already
            (tmp_path / "b").rmdir()
        return scan(path)

    monkeypatch.setattr(os, "scandir", vanishing)
    os.utime(tmp_path / "a", (NOW - 2 * KEEP_SECONDS, NOW - 2 * KEEP_SECONDS))
    sweep(tmp_path, frozenset(), now=NOW)
    assert list(tmp_path.iterdir()) == []
