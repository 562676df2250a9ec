"""Neither the file's order nor the other samples of a chunk change an answer; near ties are counted."""

import json
import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from bench import Bench, report, rows

from ensemble import predict
from ensemble.prediction import workload
from ensemble.prediction.runner import NEAR_TIE, NearTies, RunSummary
from ensemble.prediction.worker import KeptAnswer
from mire.cli import run

TOLERANCE = 1e-5
"""How far a probability may move with its batch, in float32; far below the margin that counts as a near tie."""


def answers(bench: Bench, data: Path, out: Path) -> tuple[dict[str, str], dict[str, float]]:
    """Each id's row without its place in the file, and its margin."""
    usual = ["--data", str(data), "--images", str(bench.images), "--panel", str(bench.panel), "--out", str(out)]
    assert run(predict, usual) == 0
    with closing(sqlite3.connect(f"{out}.journal")) as connection:
        kept = dict(connection.execute("SELECT sample_id, answer FROM answers").fetchall())
    return {row["id"]: json.dumps(row) for row in rows(out)}, {key: json.loads(kept[key])["margin"] for key in kept}


@pytest.mark.parametrize("chunk", [1, 5])
def test_neither_the_order_nor_the_other_samples_of_a_chunk_change_an_answer(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setenv("MIRE_CACHE", str(tmp_path / "cache"))
    usual, margins = answers(bench, bench.data, tmp_path / "usual.csv")
    records = json.loads(bench.data.read_text(encoding="utf-8"))
    random.Random(chunk).shuffle(records)
    (tmp_path / "mixed.json").write_text(json.dumps(records, ensure_ascii=False), encoding="utf-8")
    monkeypatch.setenv("MIRE_CACHE", str(tmp_path / "other"))
    monkeypatch.setattr(workload, "CHUNK", chunk)
    mixed, others = answers(bench, tmp_path / "mixed.json", tmp_path / "mixed.csv")
    assert [row["id"] for row in rows(tmp_path / "mixed.csv")] == [record["id"] for record in records]
    assert mixed == usual
    assert others == pytest.approx(margins, abs=TOLERANCE)
    assert NEAR_TIE > 10 * TOLERANCE


def test_the_same_run_twice_gives_the_same_bytes(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        monkeypatch.setenv("MIRE_CACHE", str(tmp_path / name))
        answers(bench, bench.data, tmp_path / f"{name}.csv")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert report(tmp_path / "a.csv")["near_ties"] == report(tmp_path / "b.csv")["near_ties"]


def test_near_ties_are_counted() -> None:
    summary = RunSummary()
    for key, margin in {"a": 0.0, "b": 0.0009, "c": 0.001, "d": 0.5}.items():
        summary.add(key, KeptAnswer("x", (), 1, 1, margin, 0.5, "y"))
    assert summary.report({}, {}).near_ties == NearTies(margin=0.001, samples=2)
