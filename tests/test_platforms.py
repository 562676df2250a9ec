"""Systems that are not Linux, faked: what each lacks is taken away, and the stated fallback must do."""

import io
import json
import multiprocessing
import os
import select
import socket
import subprocess
import sys
from importlib import import_module, reload
from pathlib import Path, PureWindowsPath
from typing import Any

import psutil
import pytest
from processes import all_end

from ensemble.serve import listening, scratch
from ensemble.training import accelerate_launch, pseudo_labels
from mire import cli, compat, plain_files, process_pool
from mire.doctor import machine
from mire.prompts import parse_prompt
from mire.samples import Sample
from mire.votes import Prediction

ONLY_POSIX = ("sched_getaffinity", "sysconf", "getuid", "geteuid", "killpg", "O_NONBLOCK", "fork", "register_at_fork")


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What Python has on Windows, as far as our code asks for it."""
    for name in ONLY_POSIX:
        monkeypatch.delattr(os, name)
    monkeypatch.delattr(select, "poll")
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(compat, "CGROUP", tmp_path / "none")
    monkeypatch.setattr(multiprocessing, "get_all_start_methods", lambda: ["spawn"])


@pytest.mark.usefixtures("windows")
@pytest.mark.parametrize(
    "name",
    ["mire.compat", "mire.plain_files", "mire.atomic_files", "mire.doctor.machine", "ensemble.serve.scratch",
     "ensemble.training.accelerate_launch", "experts.qwen2vl.nano.build"],
)  # fmt: skip
def test_modules_are_imported(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = import_module(name)
    before = dict(vars(module))
    try:
        reload(module)
    finally:
        vars(module).update(before)  # other tests hold the classes that were there before


@pytest.mark.usefixtures("windows")
def test_the_doctor_and_the_pool_count_cores_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    monkeypatch.setattr("shutil.which", lambda _: None)  # from Python 3.12 on it asks Windows itself
    assert compat.usable_cores() == 6
    lines = [check.text for check in machine.machine() if check.text.startswith("cpu ")]
    assert lines and lines[0].startswith("cpu          6 cores, ")
    assert 0 < machine.free_memory() <= psutil.virtual_memory().total


@pytest.mark.usefixtures("windows")
def test_worker_processes_are_spawned_where_there_is_no_fork_server() -> None:
    with process_pool._new_pool(1) as pool:
        assert pool._mp_context.get_start_method() == "spawn"  # type: ignore[attr-defined]


@pytest.mark.usefixtures("windows")
def test_what_a_reader_who_left_did_not_take_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "w", encoding="utf-8") as out, monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", out)
        out.write("a")
        assert not cli._reader_has_gone()
        os.close(reader)
        out.write("b")
        assert cli._reader_has_gone()
        out.write("c")  # goes nowhere, and raises nothing when the file is closed


@pytest.mark.usefixtures("windows")
def test_labels_leave_as_utf8_whatever_the_code_page(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = io.BytesIO()
    piped = io.TextIOWrapper(kept, encoding="cp1252")
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", piped)
        cli._escape_unknown()
    piped.write("订单页面")
    piped.flush()
    assert kept.getvalue() == "订单页面".encode()


@pytest.mark.usefixtures("windows")
def test_a_pipe_is_refused_as_an_input_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert not plain_files.is_pipe(tmp_path / "pipe")
    with pytest.raises(plain_files.DataError, match="pipe must be a plain file, but it is a pipe; save it as a file"):
        plain_files.check_plain_file(tmp_path / "pipe")


@pytest.mark.parametrize("name", ["/dev/fd/1", "/dev/fd/63"])
def test_open_streams_of_macos_are_no_output_files(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "resolve", lambda path: path)  # there /dev/fd is a folder, not a link into /proc
    with pytest.raises(plain_files.DataError, match=f"{name} is an open stream, which cannot be replaced by a file"):
        plain_files.writable_file(Path(name))


def test_what_another_server_left_is_deleted_without_owners(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "getuid")
    left, elsewhere = tmp_path / "mire-serve-left", tmp_path / "elsewhere"
    left.mkdir()
    elsewhere.mkdir()
    (tmp_path / "mire-serve-link").symlink_to(elsewhere)
    scratch._delete_abandoned(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "mire-serve-link"]


def test_an_address_in_use_is_not_shared_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening.taken_address("127.0.0.1", 0) as taken:
        assert taken.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR) == 1
    monkeypatch.setattr(listening.os, "name", "nt")
    with listening.taken_address("127.0.0.1", 0) as taken:
        assert taken.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR) == 0


def test_pseudo_labels_name_pictures_with_slashes(tmp_path: Path) -> None:
    images: Any = PureWindowsPath("C:\\shop")
    sample = Sample("a", parse_prompt("x"), images=(images / "images" / "a.png",))
    guess = Prediction("a", "image", "订单页面", (), (), (), 0, 0)
    pseudo_labels.write_pseudo_labels(tmp_path / "p.json", [sample], [guess], images)
    assert json.loads((tmp_path / "p.json").read_text(encoding="utf-8"))[0]["image"] == ["images/a.png"]


@pytest.mark.slow
def test_a_stopped_training_ends_with_its_children_without_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    wait = [sys.executable, "-c", "input()"]
    code = f"import subprocess; subprocess.Popen({wait}, stdin=subprocess.PIPE); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as launcher:
        assert launcher.stdout
        launcher.stdout.readline()
        family = [psutil.Process(launcher.pid), *psutil.Process(launcher.pid).children(recursive=True)]
        assert len(family) == 2
        monkeypatch.delattr(os, "killpg")
        accelerate_launch._end(launcher.pid)
        assert all_end(family)


def test_processes_share_the_cores_that_a_container_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    module = import_module("ensemble.prediction.process_workers")
    shares: list[object] = []
    monkeypatch.setattr(module, "usable_cores", lambda: 1)
    monkeypatch.setattr(module, "_gpus", lambda: [])
    monkeypatch.setattr(module, "WorkerPool", lambda start, size: [start(number) for number in range(size)])
    monkeypatch.setattr(module, "ProcessWorker", lambda job, share: shares.append(share))
    module.processes(None, 2)
    assert shares == [module.DeviceShare("", 1)] * 2
