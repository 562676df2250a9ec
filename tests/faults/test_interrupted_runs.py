"""Killed, stopped, out of disk, twice at once: what is finished is kept, and nothing is done twice."""

import json
import random
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from bench import Bench, error_line, finish, report, rows, start, write_many

N_SAMPLES = 4000


@pytest.fixture(scope="module")
def many(bench: Bench) -> Path:
    """More chunks than a run finishes before it is killed; dialogues, since loading CLIP would take longest."""
    return write_many(bench.root / "many.json", None, N_SAMPLES)


@pytest.fixture(scope="module")
def undisturbed(bench: Bench, many: Path) -> tuple[bytes, float]:
    """The CSV of a run that nothing disturbs, and the seconds it takes."""
    started = time.monotonic()
    done = bench.predict(bench.root / "undisturbed.csv", data=many)
    assert done.returncode == 0, done.stderr
    return (bench.root / "undisturbed.csv").read_bytes(), time.monotonic() - started


def journal_rows(out: Path) -> list[tuple[str, str]]:
    path = out.with_name(f"{out.name}.journal")
    if not path.is_file():
        return []
    with closing(sqlite3.connect(path)) as connection:
        try:
            return connection.execute("SELECT sample_id, fingerprint FROM answers").fetchall()
        except sqlite3.OperationalError:  # killed before the table was made
            return []


def lines_until(process: "subprocess.Popen[str]", words: str) -> Iterator[str]:
    """The process's lines up to the first that holds ``words``."""
    assert process.stderr is not None
    for line in process.stderr:
        yield line
        if words in line:
            return


def kill_somewhere(process: "subprocess.Popen[str]", moments: random.Random, seconds: float) -> bool:
    """SIGKILL at any moment of a run, or some chunks into its work; whether it came before the end."""
    if moments.random() < 0.5:
        time.sleep(moments.uniform(0, seconds))
    else:
        for _ in range(moments.randint(1, 5)):
            list(lines_until(process, "samples, "))
        time.sleep(moments.uniform(0, seconds / 50))
    process.kill()
    process.communicate()
    return process.returncode == -signal.SIGKILL


@pytest.mark.slow
def test_killed_thirty_times_the_csv_is_that_of_an_undisturbed_run(
    bench: Bench, many: Path, undisturbed: tuple[bytes, float], tmp_path: Path
) -> None:
    whole, seconds = undisturbed
    moments = random.Random(7)
    n_kills, n_inside, attempt = 0, 0, 0
    while n_kills < 30:
        out = tmp_path / f"{attempt}.csv"
        before = journal_rows(out)
        process = start(bench, out, many)
        if kill_somewhere(process, moments, seconds):
            n_kills += 1
            after = journal_rows(out)
            n_inside += 0 < len(after) < N_SAMPLES
            assert set(before) <= set(after), "a finished sample was lost"
            assert len(after) == len({sample_id for sample_id, _ in after})
            assert not out.exists() or out.read_bytes() == whole
        else:
            assert process.returncode == 0
            assert out.read_bytes() == whole
            attempt += 1
    assert n_inside >= 10, "the kills did not hit the work itself"
    out = tmp_path / f"{attempt}.csv"
    done = bench.predict(out, data=many)
    assert done.returncode == 0, done.stderr
    assert out.read_bytes() == whole
    assert len(journal_rows(out)) == len(set(journal_rows(out))) == N_SAMPLES
    assert not list(tmp_path.glob(".*")), "half-written files are left"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code", "line"),
    [
        (signal.SIGTERM, 143, "error: stopped by SIGTERM; run the same command again: what is finished is kept"),
        (signal.SIGINT, 130, "error: stopped by the user; run the same command again: what is finished is kept"),
    ],
)
def test_a_signal_stops_the_run_with_one_line_and_the_next_run_resumes(
    bench: Bench, many: Path, undisturbed: tuple[bytes, float], tmp_path: Path, number: int, code: int, line: str
) -> None:
    out = tmp_path / "s.csv"
    process = start(bench, out, many)
    list(lines_until(process, "samples, "))
    process.send_signal(number)
    _, rest = process.communicate()
    assert process.returncode == code
    assert rest.splitlines()[-1] == line and "Traceback" not in rest
    n_kept = len(journal_rows(out))
    assert 0 < n_kept < N_SAMPLES and not out.exists()
    done = bench.predict(out, data=many)
    assert f"{n_kept}/{N_SAMPLES} samples were answered before; going on" in done.stderr
    assert out.read_bytes() == undisturbed[0]


@pytest.mark.slow
def test_a_second_run_on_one_journal_ends_at_once(
    bench: Bench, many: Path, undisturbed: tuple[bytes, float], tmp_path: Path
) -> None:
    out = tmp_path / "s.csv"
    first = start(bench, out, many)
    list(lines_until(first, "samples, "))
    first.send_signal(signal.SIGSTOP)  # or it might be done before the second one has begun
    second = bench.predict(out, data=many)
    first.send_signal(signal.SIGCONT)
    _, rest = first.communicate()
    assert (first.returncode, second.returncode) == (0, 1), rest
    assert error_line(second) == (f"error: another run is writing {out}.journal; wait for it, or choose another --out")
    assert out.read_bytes() == undisturbed[0]
    assert len(journal_rows(out)) == N_SAMPLES


@pytest.mark.slow
@pytest.mark.parametrize("kilobytes", [40, 120])
def test_a_full_disk_is_one_line_and_loses_nothing(
    bench: Bench, many: Path, undisturbed: tuple[bytes, float], tmp_path: Path, kilobytes: int
) -> None:
    """A limit on a file's size stands for the full disk: the write fails halfway in the same way."""
    out = tmp_path / "s.csv"
    limited = ["bash", "-c", f'ulimit -f {kilobytes}; exec "$0" "$@"', *bench.command(out, data=many)]
    done = finish(limited, bench.environment())
    assert done.returncode == 1
    assert f"the journal {out}.journal cannot be written: " in error_line(done)
    assert not out.exists() and not list(tmp_path.glob(".*"))
    assert bench.predict(out, data=many).returncode == 0
    assert out.read_bytes() == undisturbed[0]


@pytest.mark.slow
def test_a_csv_that_does_not_fit_leaves_the_old_one(bench: Bench, tmp_path: Path) -> None:
    out = tmp_path / "s.csv"
    out.write_text("old")
    bench.predict(tmp_path / "t.csv")
    (tmp_path / "t.csv.journal").rename(tmp_path / "s.csv.journal")
    size = (tmp_path / "t.csv").stat().st_size
    limited = ["bash", "-c", f'ulimit -f {size // 1024 - 1}; exec "$0" "$@"', *bench.command(out)]
    done = finish(limited, bench.environment())
    assert (done.returncode, error_line(done)) == (1, "error: File too large")
    assert out.read_text() == "old" and not list(tmp_path.glob(".s.csv*"))


def test_a_changed_panel_or_sample_is_answered_again_and_nothing_else(bench: Bench, tmp_path: Path) -> None:
    from ensemble.prediction.digest import panel_digest
    from ensemble.prediction.workload import Workload
    from mire.panel_card import fingerprint
    from mire.panel_folder import PanelFolder

    panel = PanelFolder(shutil.copytree(bench.panel, tmp_path / "panel"))

    def fingerprints(data: Path) -> dict[str, str]:
        with Workload.read(data, bench.images, max_decoded_pixels=10**6) as work:
            (found,) = work.fingerprints(panel_digest(panel.settings(), fingerprint(panel), "cpu"))
        return found

    before = fingerprints(bench.data)
    records: list[dict[str, Any]] = json.loads(bench.data.read_text(encoding="utf-8"))
    records[5]["instruction"] = records[5]["instruction"].replace("用户: ", "用户: 请问")
    changed = tmp_path / "changed.json"
    changed.write_text(json.dumps(records, ensure_ascii=False), encoding="utf-8")
    after = fingerprints(changed)
    assert [key for key in before if before[key] != after[key]] == [records[5]["id"]]

    weights = panel.weights("dialogue")
    weights.write_text(weights.read_text().replace('"temperature"', ' "temperature"'))
    assert not set(fingerprints(bench.data).values()) & set(before.values())


@pytest.mark.slow
def test_a_finished_run_answers_from_its_journal(bench: Bench, tmp_path: Path) -> None:
    out = tmp_path / "s.csv"
    first = bench.predict(out)
    assert first.returncode == 0, first.stderr
    assert (report(out)["rows"], report(out)["degraded"], len(rows(out))) == (24, {}, 24)
    whole = out.read_bytes()
    out.unlink()
    again = bench.predict(out)
    assert "24/24 samples were answered before; going on" in again.stderr
    assert out.read_bytes() == whole
