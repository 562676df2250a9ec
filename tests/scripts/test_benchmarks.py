"""The benchmarks at nano size: every column must come out, so that they cannot rot."""

import json
import os
import threading
import time
from pathlib import Path

import pytest

from mire.cli import run


def result(capsys: pytest.CaptureFixture[str]) -> dict:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


@pytest.mark.slow
def test_the_gpu_benchmark_runs_at_nano_size(capsys: pytest.CaptureFixture[str]) -> None:
    from scripts.benchmarks import gpu

    assert run(gpu, ["--shape", "nano", "--samples", "8", "--compiled"]) == 0
    rows = result(capsys)["rows"]
    ways = [row["way"] for row in rows]
    assert ways.count("LoRA training steps") == ways.count("ours, adapter merged") == 2
    assert ways.count("ours, adapter apart") == ways.count("ours, merged, compiled") == 2
    assert all(row["samples_per_second"] > 0 and row["share"] > 0 for row in rows)
    assert {row["agreement"] for row in rows if row["way"].startswith("ours")} == {1.0}


@pytest.mark.slow
def test_the_scoring_benchmark_runs_and_its_ways_agree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from experts.qwen2vl.nano import build_nano
    from scripts.benchmarks import scoring

    build_nano(tmp_path, n_steps=0)
    settings = scoring.bench_settings().model_copy(update={"base": str(tmp_path)})
    monkeypatch.setattr(scoring, "bench_settings", lambda: settings)
    monkeypatch.setattr(scoring, "N_TUNING", 16)
    assert run(scoring, ["--samples", "6", "--without-llama-factory"]) == 0
    rows = result(capsys)["rows"]
    assert [row["n"] for row in rows] == [6] * 5
    assert rows[2]["way"] == "23 passes for 23 labels" and rows[2]["agreement"] == 1.0
    assert rows[0]["ours_is"] == 1.0 and all(row["ours_is"] > 0 for row in rows)
    assert rows[1]["way"] == "ours, from the files" and rows[1]["agreement"] == 1.0


@pytest.mark.slow
def test_the_load_test_counts_every_request(
    tiny_set: Path, tiny_panel: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    uvicorn = pytest.importorskip("uvicorn", reason="the extra 'serve' is not installed")
    from ensemble.panel import Panel
    from ensemble.serve.app import create_app
    from scripts.benchmarks import serve

    monkeypatch.setenv("MIRE_CACHE", str(tiny_panel.with_name("cache")))
    data = ["--data", str(tiny_set / "train.json"), "--images", str(tiny_set / "images")]
    app = create_app(Panel.load(tiny_panel), page=False)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.05)
        port = server.servers[0].sockets[0].getsockname()[1]
        url = ["--url", f"http://127.0.0.1:{port}", "--requests", "30", "--pid", str(os.getpid())]
        capsys.readouterr()
        assert run(serve, [*data, *url, "--clients", "1", "4"]) == 0
    finally:
        server.should_exit = True
        thread.join()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["clients"], line["requests"]) for line in lines] == [(1, 30), (4, 30)]
    assert all(0 < line["p50_ms"] <= line["p95_ms"] <= line["p99_ms"] for line in lines)
    assert all(line["per_second"] > 0 and line["mib_after"] > 1 for line in lines)


@pytest.mark.slow
def test_every_bar_is_measured(
    tiny_set: Path, tiny_panel: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from scripts.benchmarks import bars

    monkeypatch.setattr(bars, "N_TRIES", 1)
    monkeypatch.setattr("ensemble.command.COMMANDS", {"score": "ensemble.score"})
    data = ["--data", str(tiny_set / "train.json"), "--images", str(tiny_set / "images")]
    assert run(bars, ["--panel", str(tiny_panel), *data, "--samples", "66"]) == 0
    assert [bar["measured"] > 0 for bar in result(capsys)["bars"]] == [True] * 4


@pytest.mark.parametrize(
    ("measured", "at_least", "met"), [(1.0, False, True), (1.1, False, False), (1.0, True, True), (0.9, True, False)]
)
def test_a_bar_is_met_on_its_own_side(measured: float, at_least: bool, met: bool) -> None:
    from scripts.benchmarks.bars import Bar

    assert Bar("x", measured, 1.0, at_least).met == met


@pytest.mark.slow
def test_every_way_of_reading_is_measured_and_ours_keeps_most_of_the_text(capsys: pytest.CaptureFixture[str]) -> None:
    from scripts.benchmarks import reading

    assert run(reading, ["--pictures", "4"]) == 0
    rows = {row["way"]: row for row in result(capsys)["rows"]}
    assert rows["RapidOCR's defaults"]["share"] == rows["RapidOCR's defaults"]["text"] == 1.0
    assert rows["ours"]["share"] > 0
    assert rows["ours"]["text"] > 0.5


def test_reading_benchmark_says_where_no_picture_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from scripts.benchmarks import reading

    assert run(reading, ["--images", str(tmp_path)]) == 1
    assert "holds no picture" in capsys.readouterr().err
