"""Ten thousand samples, three in a hundred broken: every row, every reason, flat memory."""

import json
import re
from pathlib import Path

import broken
import pytest
from bench import Bench, peak_mib, report, rows, write_many

N_SAMPLES, N_FEW = 10_000, 2_000
EVERY = 33
"""One sample in so many is replaced by a broken one."""
COSTLY = ("a line of a million characters", "a dialogue of 12,000 tokens", "a line of digits", "40 pictures")
"""Long rather than broken: each costs what hundreds of others do, so they have tests of their own."""


def peak_mib_of(bench: Bench, data: Path, out: Path, images: Path) -> float:
    return peak_mib([*bench.command(out, data=data), "--images", str(images)], bench.environment())


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
    for index in range(0, N_SAMPLES, EVERY):
        case = cases[index // EVERY % len(cases)]
        records[index] = {"id": records[index]["id"], "output": "", **case.record}
        reasons[records[index]["id"]] = case.reason
    mixed = tmp_path / "mixed.json"
    mixed.write_text(json.dumps(records), encoding="utf-8")

    peak_mib_of(bench, few, tmp_path / "warm.csv", images)
    small = peak_mib_of(bench, few, tmp_path / "few.csv", images)
    large = peak_mib_of(bench, mixed, tmp_path / "mixed.csv", images)

    answered = rows(tmp_path / "mixed.csv")
    assert [row["id"] for row in answered] == [record["id"] for record in records]
    assert all(row["predict"] for row in answered)
    degraded = report(tmp_path / "mixed.csv")["degraded"]
    assert degraded.keys() == {key for key, reason in reasons.items() if reason}
    for key, problems in degraded.items():
        assert re.search(str(reasons[key]), "; ".join(problems)), (key, problems)
    # Eight thousand more samples may cost what their text takes, no more: 10 KiB each.
    assert large - small < 80
