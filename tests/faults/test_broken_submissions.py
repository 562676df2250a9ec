"""A CSV that is not as it should be ends the scoring in one line that names the row."""

import json
from pathlib import Path

import pytest
from records import dialogue_instruction

from ensemble import score
from mire.cli import run

TRUTH = [
    {"id": str(number), "instruction": dialogue_instruction("用户: 会生锈吗"), "output": "是否会生锈", "image": []}
    for number in range(3)
]
GOOD = "id,predict\n0,是否会生锈\n1,是否会生锈\n2,是否会生锈\n"
BROKEN = {
    "a short row": ("id,predict\n0,a\n1\n2,a\n", "row 3: every row must have 2 cells, as the first, but ['1'] has 1"),
    "a short row, the id behind": ("predict,id\na,0\na\na,2\n", "row 3: every row must have 2 cells"),
    "a long row": ("id,predict\n0,a\n1,a,b\n2,a\n", "row 3: every row must have 2 cells"),
    "an open quote": ('id,predict\n0,"a\n1,a\n2,a\n', "must hold exactly the ids of"),
    "a quote that swallows columns": ('id,predict,more\n0,"a,\n1,a,\n', "row 2: every row must have 3 cells"),
    "semicolons": (GOOD.replace(",", ";"), "must have the columns 'id' and 'predict', got ['id;predict']"),
    "two ids": ("id,id,predict\n0,0,a\n", "must have the columns 'id' and 'predict', got ['id', 'id', 'predict']"),
    "an id twice": ("id,predict\n0,a\n0,b\n", "row 3: ids must be unique, '0' occurs twice"),
    "a bare carriage return": ("id,predict\n0,a\rb\n", "row 3: every row must have 2 cells"),
    "nothing": ("", "must have the columns 'id' and 'predict', got []"),
    "an id too few": ("id,predict\n0,a\n1,a\n", "1 differ (first: '2')"),
    "an id of a million characters": (f"id,predict\n{'9' * 1_000_000},a\n", "4 differ (first: '0')"),
    "a header of a million characters": (f"{'i' * 1_000_000},predict\n0,a\n", "must have the columns"),
}


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(TRUTH), encoding="utf-8")
    return path


def scored(truth: Path, text: str) -> int:
    (truth.parent / "s.csv").write_text(text, encoding="utf-8", newline="")
    return run(score, ["--truth", str(truth), "--submission", str(truth.parent / "s.csv")])


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_csv_is_refused_in_one_line(truth: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    text, words = BROKEN[name]
    assert scored(truth, text) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {truth.parent / 's.csv'}")
    assert words in line
    assert len(line) < 500


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        "predict,id\n是否会生锈,0\n是否会生锈,1\n是否会生锈,2\n",
        "instruction,id,predict\na,0,是否会生锈\n\n,1,是否会生锈\n,2,是否会生锈\n",
        "\ufeff" + GOOD.replace("\n", "\r\n"),
    ],
    ids=["as it should be", "the id behind", "an empty line", "a mark and Windows' line ends"],
)
def test_other_shapes_are_scored(truth: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    assert scored(truth, text) == 0
    assert json.loads(capsys.readouterr().out)["f1"] == 1.0
