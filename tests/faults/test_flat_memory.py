"""Ten times the samples take the same memory."""

import json
from pathlib import Path

import pytest
from bench import Bench, peak_mib, report
from records import dialogue_instruction

FEW, MANY = 2_000, 20_000
WORDS = ("会生锈吗", "什么时候有货", "冬天能穿吗")
LONG = "您好" * 1000
"""With it a sample takes 6 KB in UTF-8: 18,000 more of them 110 MB on the disk, and twice that in memory."""


def write_lines(path: Path, n: int) -> Path:
    with path.open("w", encoding="utf-8") as file:
        for number in range(n):
            text = dialogue_instruction("客服: 您好", f"用户: 第{number}件{WORDS[number % 3]}")
            record = {"id": f"{number * 7919 % n:05d}", "instruction": text, "image": [], "note": f"{LONG}{number}"}
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
    return path


def to_parquet(path: Path) -> Path:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    schema = pyarrow.schema([(name, pyarrow.string()) for name in ("id", "instruction", "note")])
    schema = schema.append(pyarrow.field("image", pyarrow.list_(pyarrow.string())))
    out = path.with_suffix(".parquet")
    parquet.write_table(pyarrow.Table.from_pylist(rows, schema), out, row_group_size=1000)
    return out


def peak_mib_of(bench: Bench, data: Path, out: Path) -> float:
    """The most memory that the command itself held; the workers' is not counted."""
    return peak_mib([*bench.command(out, data=data), "--devices", "2"], bench.environment())


@pytest.mark.slow
def test_ten_times_the_samples_take_the_same_memory(bench: Bench, tmp_path: Path) -> None:
    few, many = (write_lines(tmp_path / f"{n}.jsonl", n) for n in (FEW, MANY))
    files = (few, many, to_parquet(few), to_parquet(many))
    peaks = {data.name: peak_mib_of(bench, data, tmp_path / f"{data.name}.csv") for data in files}
    print({name: round(peak) for name, peak in peaks.items()})
    assert report(tmp_path / "20000.jsonl.csv")["rows"] == MANY
    assert peaks["20000.jsonl"] - peaks["2000.jsonl"] < 40
    assert peaks["20000.parquet"] - peaks["2000.parquet"] < 40
