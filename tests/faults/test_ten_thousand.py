"""Ten thousand samples, three in a hundred broken: every row, every reason, flat memory, hardly more work."""

import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import broken
import pytest
from bench import Bench, report, rows, write_many

N_SAMPLES, N_FEW = 10_000, 2_000
EVERY = 33
"""One sample in so many is replaced by a broken one."""
COSTLY = ("a line of a million characters", "a dialogue of 50,000 tokens", "a line of digits", "40 pictures")
"""Long rather than broken: each costs what hundreds of others do, so they have tests of their own."""


@dataclass(frozen=True)
class Spent:
    """What a run took: CPU seconds, and the most memory it held."""

    cpu_seconds: float
    peak_mib: float


def run_of(bench: Bench, data: Path, out: Path, images: Path) -> Spent:
    command = [*bench.command(out, data=data), "--images", str(images)]
    process = subprocess.Popen(command, env=bench.environment(), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert process.stderr is not None
    said = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, said
    return Spent(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


@pytest.mark.slow
def test_ten_thousand_samples_with_three_in_a_hundred_broken(bench: Bench, tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    for picture in bench.images.iterdir():
        (images / picture.name).write_bytes(picture.read_bytes())
    cases = [case for case in broken.samples() if case.name not in COSTLY]
    few = write_many(tmp_path / "few.json", images, N_FEW)
    clean = write_many(tmp_path / "clean.json", images, N_SAMPLES)
    broken.make_pictures(images)
    records = json.loads(clean.read_text(encoding="utf-8"))
    reasons: dict[str, str | None] = {}
    for place in range(0, N_SAMPLES, EVERY):
        case = cases[place // EVERY % len(cases)]
        records[place] = {"id": records[place]["id"], "output": "", **case.record}
        reasons[records[place]["id"]] = case.reason
    mixed = tmp_path / "mixed.json"
    mixed.write_text(json.dumps(records), encoding="utf-8")

    run_of(bench, few, tmp_path / "warm.csv", images)
    spent = {name: run_of(bench, data, tmp_path / f"{name}.csv", images)
             for name, data in (("few", few), ("clean", clean), ("mixed", mixed))}  # fmt: skip

    answered = rows(tmp_path / "mixed.csv")
    assert [row["id"] for row in answered] == [record["id"] for record in records]
    assert all(row["predict"] for row in answered)
    degraded = report(tmp_path / "mixed.csv")["degraded"]
    assert degraded.keys() == {key for key, reason in reasons.items() if reason}
    for key, problems in degraded.items():
        assert re.search(str(reasons[key]), "; ".join(problems)), (key, problems)
    print({name: (round(one.cpu_seconds, 1), round(one.peak_mib)) for name, one in spent.items()})
    assert spent["mixed"].cpu_seconds < 1.1 * spent["clean"].cpu_seconds
    # Eight thousand more samples may cost what their text takes, no more: 10 KiB each.
    assert spent["clean"].peak_mib - spent["few"].peak_mib < 80
