"""The benchmarks at nano size: every column must come out, so that they cannot rot."""

import json
from pathlib import Path

import pytest

from mire.cli import run

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS))


def result(capsys: pytest.CaptureFixture[str]) -> dict:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


@pytest.mark.slow
def test_the_gpu_benchmark_runs_at_nano_size(capsys: pytest.CaptureFixture[str]) -> None:
    import bench_gpu

    assert run(bench_gpu.main, ["--shape", "nano", "--samples", "8"]) == 0
    rows = result(capsys)["rows"]
    assert [row["way"] for row in rows].count("LoRA training steps") == 2
    assert all(row["samples_per_second"] > 0 and 0 < row["share"] < 1.5 for row in rows)
    assert {row["agreement"] for row in rows if row["way"].startswith("ours")} == {1.0}


@pytest.mark.slow
def test_the_scoring_benchmark_runs_and_its_ways_agree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import bench_scoring

    from experts.qwen2vl.nano import build_nano

    build_nano(tmp_path, n_steps=0)
    settings = bench_scoring.bench_settings().model_copy(update={"base": str(tmp_path)})
    monkeypatch.setattr(bench_scoring, "bench_settings", lambda: settings)
    monkeypatch.setattr(bench_scoring, "N_TUNING", 16)
    assert run(bench_scoring.main, ["--samples", "6", "--without-llama-factory"]) == 0
    rows = result(capsys)["rows"]
    assert [row["n"] for row in rows] == [6] * 5
    assert rows[2]["way"] == "23 passes for 23 labels" and rows[2]["agreement"] == 1.0
    assert rows[0]["ours_is"] == 1.0 and all(row["ours_is"] > 1 for row in rows[1:3])
