"""Bad records and bad pictures: one row each, marked with its reason, or one error before the work starts."""

import json
import re
from pathlib import Path

import broken
import pytest
import refused
from bench import Bench, report, rows
from broken import Broken

from ensemble import predict
from ensemble.prediction.worker import Answered, Worker
from ensemble.prediction.workload import Chunk
from mire import validate
from mire.cli import run
from mire.samples import read_samples

CASES = broken.samples()
NAMES = [case.name for case in CASES]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("broken")
    (root / "images").mkdir()
    broken.make_pictures(root / "images")
    return root


def write(folder: Path, name: str, cases: list[Broken]) -> Path:
    records = [{"id": f"{number:03d}", **case.record} for number, case in enumerate(cases)]
    path = folder / name
    path.write_text(json.dumps(records), encoding="utf-8")
    return path


@pytest.fixture(autouse=True)
def bench_cache(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRE_CACHE", str(bench.root / "cache"))


@pytest.fixture(scope="module")
def asked() -> list[str]:
    """The ids of all samples that the worker was given in the run of ``answered``, in order."""
    return []


@pytest.fixture(scope="module")
def answered(bench: Bench, folder: Path, asked: list[str]) -> Path:
    """All broken samples in one run."""
    answer = Worker.answer

    def count(worker: Worker, chunk: Chunk) -> Answered:
        asked.extend(sample.id for sample in chunk.samples)
        return answer(worker, chunk)

    out = folder / "all.csv"
    usual = ["--data", str(write(folder, "all.json", CASES)), "--images", str(folder / "images")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MIRE_CACHE", str(bench.root / "cache"))
        patch.setattr(Worker, "answer", count)
        assert run(predict, [*usual, "--panel", str(bench.panel), "--out", str(out)]) == 0
    return out


def test_every_broken_sample_gets_one_row(answered: Path) -> None:
    assert [row["id"] for row in rows(answered)] == [f"{number:03d}" for number in range(len(CASES))]
    assert all(row["predict"] for row in rows(answered))
    assert report(answered)["rows"] == len(CASES)


def test_no_broken_sample_makes_others_be_answered_twice(answered: Path, asked: list[str]) -> None:
    assert sorted(asked) == [f"{number:03d}" for number in range(len(CASES))]


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_it_is_marked_with_its_reason_or_not_at_all(answered: Path, case: Broken) -> None:
    problems = report(answered)["degraded"].get(f"{CASES.index(case):03d}", [])
    if case.reason is None:
        assert problems == []
    else:
        assert [problem for problem in problems if re.search(case.reason, problem)], problems


def test_the_degraded_are_counted_in_the_last_line(
    bench: Bench, folder: Path, answered: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    n_degraded = sum(case.reason is not None for case in CASES)
    assert len(report(answered)["degraded"]) == n_degraded
    usual = ["--data", str(folder / "all.json"), "--images", str(folder / "images"), "--panel", str(bench.panel)]
    assert run(predict, [*usual, "--out", str(answered)]) == 0
    assert f"{len(CASES)} rows, {n_degraded} degraded" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("name", ["text", "half a jpeg"])
def test_strict_refuses_instead(bench: Bench, folder: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """A text file is known before the work starts, half a picture when a voter decodes it."""
    data = write(folder, "strict.json", [CASES[NAMES.index(name)]])
    usual = ["--data", str(data), "--images", str(folder / "images"), "--panel", str(bench.panel)]
    assert run(predict, [*usual, "--out", str(folder / "strict.csv"), "--strict"]) == 1
    assert "cannot be read" in capsys.readouterr().err
    assert not (folder / "strict.csv").exists()


def test_a_lower_limit_in_the_settings_refuses_more_pictures(bench: Bench, folder: Path, tmp_path: Path) -> None:
    data = write(folder, "limit.json", [Broken("x", None, broken.picture("line.png"))])
    (sample,) = read_samples(data, folder / "images", max_decoded_pixels=19_999)
    assert sample.problems == ("picture 'line.png': 1x20000 pixels exceed the limit of 19999",)
    assert read_samples(data, folder / "images", max_decoded_pixels=20_000)[0].problems == ()


def test_validate_names_every_fault(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write(folder, "validate.json", CASES)
    assert run(validate, ["--data", str(data), "--images", str(folder / "images")]) == 1
    lines = capsys.readouterr().out.splitlines()
    for number, case in enumerate(CASES, start=1):
        mine = [line for line in lines if line.startswith(f"record {number}, id ")]
        assert bool(mine) == (case.reason is not None), (case.name, mine)


@pytest.mark.parametrize("name", refused.FILES)
def test_a_refused_file_says_why(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    content, words = refused.FILES[name]
    (tmp_path / "data.json").write_bytes(content)
    usual = ["--data", str(tmp_path / "data.json"), "--images", str(tmp_path)]
    assert run(validate, usual) == 1
    seen = capsys.readouterr()
    assert words in seen.out + seen.err


@pytest.mark.parametrize("name", refused.FILES)
def test_a_refused_file_costs_no_work(
    bench: Bench, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    content, words = refused.FILES[name]
    data = tmp_path / "data.json"
    data.write_bytes(content)
    assert run(predict, bench.arguments(tmp_path / "s.csv", data=data)) == 1
    said = capsys.readouterr().err
    assert words in said and "Traceback" not in said
    (line,) = [line for line in said.splitlines() if line.startswith("error: ")]
    assert line.startswith(f"error: {data}")
    assert [path.name for path in tmp_path.iterdir()] == ["data.json"]


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_a_broken_sample_alone(bench: Bench, folder: Path, tmp_path: Path, case: Broken) -> None:
    """As the only sample of a run, where no good one hides a crash."""
    data = tmp_path / "one.json"
    data.write_text(json.dumps([{"id": "x", **case.record}]), encoding="utf-8")
    out = tmp_path / "s.csv"
    assert run(predict, bench.arguments(out, data=data, images=folder / "images")) == 0
    assert len(rows(out)) == 1
    assert ("x" in report(out)["degraded"]) == (case.reason is not None)
