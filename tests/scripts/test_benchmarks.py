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
def test_what_a_panel_recognises_is_counted(tiny_panel: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from scripts.benchmarks import unlike

    assert run(unlike, ["--panel", str(tiny_panel)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if "known samples" in line] == [
        "image: 0.0% of 12 known samples are flagged", "dialogue: 16.7% of 12 known samples are flagged",
    ]  # fmt: skip
    assert "  all: 0 of 48 made-up inputs are recognised" in lines  # its one voter of pictures tells no evidence


@pytest.mark.slow
def test_the_gpu_benchmark_runs_at_nano_size(capsys: pytest.CaptureFixture[str]) -> None:
    from scripts.benchmarks import gpu

    assert run(gpu, ["--shape", "nano", "--samples", "8", "--compiled"]) == 0
    rows = result(capsys)["rows"]
    ways = [row["way"] for row in rows]
    assert ways.count("LoRA training steps") == ways.count("ours, adapter merged") == 2
    assert ways.count("ours, adapter apart") == ways.count("ours, apart, compiled") == 2
    assert all(row["samples_per_second"] > 0 and row["share"] > 0 for row in rows)
    assert {row["agreement"] for row in rows if row["way"].startswith("ours, adapter")} == {1.0}


@pytest.mark.slow
def test_the_commands_and_a_service_run_on_a_checkpoint_as_the_hub_has_it(capsys: pytest.CaptureFixture[str]) -> None:
    from scripts.benchmarks import true_size

    assert run(true_size, ["--shape", "nano", "--samples", "0", "--by-commands", "24", "--predicted", "60"]) == 0
    names = [step["name"] for step in result(capsys)["steps"]]
    assert names == [
        "write the checkpoint", "mire train image, 24", "mire train dialogue, 24", "mire predict, 60", "mire export, 1",
        "serve, 8 clients, first", "serve, 8 clients", "serve, one client",
    ]  # fmt: skip


@pytest.mark.slow
def test_the_scoring_benchmark_runs_and_its_ways_agree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from experts.qwen2vl.nano import build_nano
    from scripts.benchmarks import scoring
    from scripts.benchmarks.rivals import llama_factory

    build_nano(tmp_path, n_steps=0)
    settings = scoring.bench_settings().model_copy(update={"base": str(tmp_path)})
    monkeypatch.setattr(scoring, "bench_settings", lambda: settings)
    monkeypatch.setattr(scoring, "N_TUNING", 16)
    loaded: list[str] = []

    def predict(records: list[object], images: Path, checkpoint: Path, *_: object, **__: object) -> object:
        loaded.append(json.loads((checkpoint / "config.json").read_text())["dtype"])
        return llama_factory.Predicted(2.0 * len(loaded), ("no label",) * len(records))

    monkeypatch.setattr(llama_factory, "predict", predict)
    assert run(scoring, ["--samples", "6"]) == 0
    printed = capsys.readouterr()
    rows = json.loads(printed.out.splitlines()[-1])["rows"]
    assert [row["n"] for row in rows] == [6] * 9
    assert rows[2]["way"] == "23 passes for 23 labels" and rows[2]["agreement"] == 1.0
    assert rows[0]["ours_is"] == 1.0 and all(row["ours_is"] > 0 for row in rows)
    assert rows[1]["way"] == "ours, from the files" and rows[1]["agreement"] == 1.0
    for row, adapter in zip(rows[5:7], ("apart", "merged"), strict=True):
        assert row["way"] == f"ours, from the files, bfloat16, adapter {adapter}" and row["agreement"] > 0.5
    assert loaded == ["float32", "bfloat16"] and [row["agreement"] for row in rows[7:]] == [0.0, 0.0]
    ours = max(row["samples_per_second"] for row in (rows[1], *rows[5:7]))
    assert [row["ours_is"] for row in rows[7:]] == pytest.approx([ours / 2, ours / 4])
    assert f"each in its better format: ours is {ours / 4:.2f} times LLaMA-Factory" in printed.err


@pytest.mark.slow
def test_llama_factory_s_rate_and_answers_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from scripts.benchmarks.rivals import llama_factory

    program = tmp_path / "program"
    program.write_text(
        "#!/bin/sh\nmkdir out\necho '{\"predict_samples_per_second\": 3.5}' > out/predict_results.json\n"
        "for text in a 'b '; do echo '{\"predict\": \"'\"$text\"'\"}'; done > out/generated_predictions.jsonl\n"
    )
    program.chmod(0o700)
    monkeypatch.setattr(llama_factory, "_installed", lambda: program)
    found = llama_factory.predict(
        [{"id": "0", "output": None}], tmp_path, tmp_path, tmp_path / "work",
        batch_size=8, n_new=5, max_pixels=9, n_threads=1,
    )  # fmt: skip
    assert found == llama_factory.Predicted(3.5, ("a", "b"))
    assert json.loads((tmp_path / "work" / "data.json").read_text()) == [{"id": "0", "output": "?"}]


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


@pytest.mark.slow
def test_few_examples_are_drawn_alike_and_judged(
    tiny_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tiny import TinyEncoder

    from experts.text_embedding import embed
    from scripts.benchmarks import few_examples

    monkeypatch.setenv("MIRE_CACHE", str(tmp_path))
    monkeypatch.setattr(embed, "make_encoder", lambda settings: TinyEncoder())
    data = ["--data", str(tiny_set / "train.json"), "--images", str(tiny_set / "images")]
    assert run(few_examples, [*data, "--task", "dialogue", "--draws", "1", "--examples", "0", "2"]) == 0
    none, two = capsys.readouterr().out.splitlines()
    assert none.startswith("dialogue 0 per label, 4 tested: text_embedding ")
    assert "dialogue_text" in two and "panel" in two
