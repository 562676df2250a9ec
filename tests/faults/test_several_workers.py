"""Several processes, Ray, and nodes that die: the rows of an undisturbed run, each once."""

import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import psutil
import pytest
from bench import PRIORITY, Bench, error_line, finish, start, write_many
from deadly import POISON, DeadlyJob
from processes import all_end

from ensemble.prediction.digest import panel_digest
from ensemble.prediction.process_workers import processes
from ensemble.prediction.runner import run_workload
from ensemble.prediction.workload import CHUNK, Workload
from mire.errors import WorkerError
from mire.journal import Journal
from mire.panel_folder import PanelFolder

N_SAMPLES = 6000
"""Enough that a fast machine too is at work when it is disturbed."""
RAY = ("--engine", "ray")


@pytest.fixture(scope="module")
def many(bench: Bench) -> Path:
    return write_many(bench.root / "workers.json", bench.images, N_SAMPLES)


@pytest.fixture(scope="module")
def whole(bench: Bench, many: Path) -> bytes:
    """The CSV of the local engine."""
    done = bench.predict(bench.root / "local.csv", data=many)
    assert done.returncode == 0, done.stderr
    return (bench.root / "local.csv").read_bytes()


def lines_until(process: "subprocess.Popen[str]", words: str) -> list[str]:
    """The process's lines up to the first that holds ``words``."""
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if words in line:
            return said
    raise AssertionError(f"it never said {words!r}: {''.join(said)}")


def workers(root: int, words: str) -> list[psutil.Process]:
    """The processes under ``root`` whose command line holds ``words``."""
    found = []
    for process in psutil.Process(root).children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # it has ended since
            if words in " ".join(process.cmdline()):
                found.append(process)
    return found


def ids(out: Path) -> list[str]:
    with closing(sqlite3.connect(out.with_name(f"{out.name}.journal"))) as connection:
        return [key for (key,) in connection.execute("SELECT sample_id FROM answers")]


def assert_whole(out: Path, whole: bytes) -> None:
    assert out.read_bytes() == whole
    assert len(ids(out)) == len(set(ids(out))) == N_SAMPLES


@pytest.mark.slow
def test_two_processes_give_the_local_engines_bytes_though_one_is_killed(
    bench: Bench, many: Path, whole: bytes, tmp_path: Path
) -> None:
    out = tmp_path / "s.csv"
    process = start(bench, out, many, "--devices", "2")
    lines_until(process, "samples, ")
    first, _ = workers(process.pid, "spawn_main")
    first.kill()
    _, rest = process.communicate()
    assert process.returncode == 0, rest
    assert "(signal SIGKILL" in rest and "Traceback" not in rest
    assert_whole(out, whole)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -9), (signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_no_process_outlives_the_command_and_another_engine_resumes(
    bench: Bench, many: Path, whole: bytes, tmp_path: Path, number: int, code: int
) -> None:
    out = tmp_path / "s.csv"
    process = start(bench, out, many, "--devices", "2")
    lines_until(process, "samples, ")
    started = workers(process.pid, "spawn_main")
    process.send_signal(number)
    _, rest = process.communicate()
    assert process.returncode == code and "Traceback" not in rest
    assert all_end(started), "workers are left"
    n_kept = len(ids(out))
    assert 0 < n_kept < N_SAMPLES and not out.exists()
    done = bench.predict(out, data=many)
    assert f"{n_kept}/{N_SAMPLES} samples were answered before; going on" in done.stderr
    assert_whole(out, whole)


@pytest.mark.slow
def test_a_sample_that_kills_every_worker_ends_the_run_with_one_line(
    bench: Bench, many: Path, whole: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIRE_CACHE", str(bench.root / "cache"))
    out = tmp_path / "s.csv"
    with (
        Workload.read(many, bench.images, max_decoded_pixels=10**8) as work,
        Journal(out.with_name("s.csv.journal")).opened() as journal,
        pytest.raises(WorkerError, match="two workers died on the same .* samples, 's.*' to 's.*': signal SIGKILL; "),
        processes(DeadlyJob(bench.panel, work.tasks), 2) as pool,
    ):
        settings = PanelFolder(bench.panel).settings()
        run_workload(work, pool, journal, panel_digest(settings, pool.loaded.panel, pool.loaded.device), strict=False)
    assert POISON not in ids(out) and len(ids(out)) >= CHUNK
    assert bench.predict(out, data=many).returncode == 0
    assert_whole(out, whole)


@pytest.mark.slow
def test_more_devices_than_gpus_or_chunks_do_no_harm(bench: Bench, tmp_path: Path) -> None:
    """24 samples are two chunks: one of three processes never gets one."""
    one, three = tmp_path / "1.csv", tmp_path / "3.csv"
    assert bench.predict(one).returncode == 0
    done = bench.predict(three, "--devices", "3")
    assert done.returncode == 0, done.stderr
    assert one.read_bytes() == three.read_bytes()


@pytest.mark.slow
def test_a_panel_that_no_worker_can_load_is_one_line(bench: Bench, tmp_path: Path) -> None:
    done = bench.predict(tmp_path / "s.csv", "--devices", "2", panel=tmp_path)
    assert (done.returncode, "is no panel" in error_line(done)) == (1, True)
    broken = tmp_path / "panel"
    finish(["cp", "-r", str(bench.panel), str(broken)], bench.environment())
    (broken / "image" / "clip_lightgbm" / "model.txt").write_text("no trees")
    for engine in (("--devices", "2"), (*RAY, "--workers", "1")):
        done = bench.predict(tmp_path / "s.csv", *engine, panel=broken)
        assert done.returncode == 1
        assert "model.txt is not a complete LightGBM text file" in error_line(done)


@pytest.fixture
def nodes() -> Iterator[tuple[str, Callable[[], None]]]:
    """A Ray cluster of two nodes with one core each: its address, and what kills the second node."""
    pytest.importorskip("ray")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"RAY_USAGE_STATS_ENABLED": "0", **PRIORITY}.items():
            patch.setenv(name, value)
        from ray.cluster_utils import Cluster

        size = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
        cluster = Cluster(initialize_head=True, head_node_args=size)
        second = cluster.add_node(**size)
        cluster.wait_for_nodes()
        try:
            yield cluster.address, lambda: cluster.remove_node(second, allow_graceful=False)
        finally:
            cluster.shutdown()


@pytest.mark.slow
def test_a_worker_dies_then_a_node_and_every_row_is_there_once(
    bench: Bench, many: Path, whole: bytes, tmp_path: Path, nodes: tuple[str, Callable[[], None]]
) -> None:
    address, kill_node = nodes
    out = tmp_path / "s.csv"
    process = start(bench, out, many, *RAY, "--address", address, "--workers", "2")
    lines_until(process, "samples, ")
    while not (answering := workers(os.getpid(), "ray::RayWorker.answer")):  # the other one may still be loading
        assert process.poll() is None
        time.sleep(0.01)
    answering[0].kill()
    said = lines_until(process, "samples are done again")
    # The one that is left is given the lost chunk before its own is told of: were it lost again, the run would end.
    lines_until(process, "samples, ")
    lines_until(process, "samples, ")
    kill_node()
    _, rest = process.communicate(timeout=300)
    assert process.returncode == 0, rest
    others = [line for line in (*said, *rest.splitlines()) if "samples, " not in line]
    assert "Traceback" not in rest and len(others) < 30, "Ray drowns what is said"
    assert_whole(out, whole)


def listened_on(process: psutil.Process) -> set[str]:
    """Addresses of this machine on which a process takes connections."""
    try:
        return {one.laddr.ip for one in process.net_connections("tcp") if one.status == psutil.CONN_LISTEN}
    except psutil.NoSuchProcess:
        return set()


@pytest.mark.slow
def test_a_cluster_of_its_own_ends_with_the_run_and_leaves_stdout_alone(
    bench: Bench, many: Path, tmp_path: Path
) -> None:
    pytest.importorskip("ray")
    out = tmp_path / "s.csv"
    process = start(bench, out, many, *RAY, "--workers", "2")
    lines_until(process, "samples, ")
    family = psutil.Process(process.pid).children(recursive=True)
    assert workers(process.pid, "ray::RayWorker")
    assert {address.removeprefix("::ffff:") for one in family for address in listened_on(one)} == {"127.0.0.1"}
    process.send_signal(signal.SIGTERM)
    _, rest = process.communicate()
    assert (process.returncode, rest.splitlines()[-1][:26]) == (143, "error: stopped by SIGTERM;")
    assert all_end(family), "Ray's processes are left"
    done = bench.predict(out, *RAY, "--workers", "1", "--json", data=many)
    assert done.returncode == 0, done.stderr
    assert "samples were answered before; going on" in done.stderr
    assert done.stdout.startswith(f'{{"rows": {N_SAMPLES}, ') and done.stdout.count("\n") == 1


@pytest.mark.slow
def test_no_cluster_at_the_address_is_one_line(bench: Bench, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    done = bench.predict(tmp_path / "s.csv", *RAY, "--address", "127.0.0.1:1")
    assert done.returncode == 1
    # It is known before Ray begins to try, which would take minutes.
    assert "no Ray cluster at --address 127.0.0.1:1: ConnectionRefusedError: " in error_line(done)
