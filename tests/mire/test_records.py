import datetime
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from records import dialogue_instruction, image_instruction

from mire.errors import DataError
from mire.records import read_records
from mire.samples import read_samples

RECORDS: list[dict[str, Any]] = [
    {"id": "b", "instruction": dialogue_instruction("用户: 会生锈吗"), "input": "", "output": "", "image": []},
    {"id": "a", "instruction": image_instruction(), "input": None, "output": "退款页面", "image": ["a.png", "b.png"]},
]


def parquet(path: Path, records: list[dict[str, Any]]) -> Path:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet as writer

    writer.write_table(pyarrow.Table.from_pylist(records), path)
    return path


@pytest.mark.parametrize("name", ["data.json", "data.jsonl", "data.parquet"])
def test_every_format_gives_the_same_records(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.endswith("parquet"):
        parquet(path, RECORDS)
    elif name.endswith("l"):
        path.write_text("".join(json.dumps(record) + "\n" for record in RECORDS), encoding="utf-8")
    else:
        path.write_text(json.dumps(RECORDS), encoding="utf-8")
    assert list(read_records(path)) == RECORDS
    assert [(sample.id, sample.label, sample.number) for sample in read_samples(path)] == [
        ("b", None, 1),
        ("a", "退款页面", 2),
    ]


def test_the_content_tells_the_format_not_the_name(tmp_path: Path) -> None:
    assert list(read_records(parquet(tmp_path / "data.json", RECORDS))) == RECORDS


def test_what_json_cannot_hold_becomes_text(tmp_path: Path) -> None:
    row = {"id": "a", "day": datetime.date(2025, 3, 1), "raw": b"x"}
    assert list(read_records(parquet(tmp_path / "p", [row]))) == [{"id": "a", "day": "2025-03-01", "raw": "b'x'"}]


def test_a_line_is_read_before_the_next_one_is_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_bytes(b'{"id": 1}\n{\n\n{"id": "\xff"}\n')
    found = read_records(path)
    assert next(found) == {"id": 1}
    assert "(line 2, column 2)" in str(next(found))
    with pytest.raises(DataError, match="must be UTF-8: invalid start byte at byte 21"):
        next(found)


@pytest.mark.parametrize("size", [4, 200, -30])
def test_a_parquet_file_that_is_cut_short_is_named(tmp_path: Path, size: int) -> None:
    path = parquet(tmp_path / "data.parquet", RECORDS)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(DataError, match="data.parquet cannot be read as Parquet: "):
        list(read_records(path))


def test_without_pyarrow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError, match="data.parquet is Parquet, which needs the package pyarrow: pip install -e"):
        list(read_records(tmp_path / "data.parquet"))
