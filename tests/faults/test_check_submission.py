"""A submission is compared with the test file before it is handed in; every fault is named."""

import json
from pathlib import Path

import pytest
from records import dialogue_instruction, image_instruction

from ensemble import check_submission
from mire.cli import run

RECORDS = [
    {"id": "p", "instruction": image_instruction(), "image": ["a.png"]},
    {"id": "d", "instruction": dialogue_instruction("用户: 会生锈吗"), "image": []},
    {"id": "007", "instruction": dialogue_instruction("用户: 何时有货"), "image": []},
]
ROWS = ["p,支付页面", "d,是否会生锈", "007,何时上货"]


def checked(folder: Path, rows: list[str], header: str = "id,predict") -> int:
    (folder / "test.json").write_text(json.dumps(RECORDS), encoding="utf-8")
    (folder / "s.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8-sig")
    return run(check_submission, ["--data", str(folder / "test.json"), "--submission", str(folder / "s.csv")])


def test_a_right_one_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert checked(tmp_path, ROWS) == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == ["image: 1 rows", "dialogue: 2 rows"]
    assert lines[2].endswith("in its order, with live labels")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (ROWS[:2], "the sample '007' has no row"),
        ([*ROWS, "x,支付页面"], "the id 'x' is none of the test file's"),
        ([ROWS[1], ROWS[0], ROWS[2]], "the rows stand in another order than the samples, from sample 1 on"),
        (["p,是否会生锈", *ROWS[1:]], "the answer to 'p' must be a live image label, got '是否会生锈'"),
        (["p,", *ROWS[1:]], "the answer to 'p' must be a live image label, got ''"),
        (["p,支付页面 ", *ROWS[1:]], "the answer to 'p' must be a live image label, got '支付页面 '"),
        ([*ROWS[:2], "7,何时上货"], "the sample '007' has no row"),
        ([*ROWS, ROWS[0]], "row 5: ids must be unique, 'p' occurs twice"),
        (["p", *ROWS[1:]], "row 2: every row must have 2 cells"),
    ],
)
def test_a_wrong_one_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rows: list[str], words: str
) -> None:
    assert checked(tmp_path, rows) == 1
    assert words in capsys.readouterr().err


def test_at_most_20_faults_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert checked(tmp_path, [*ROWS, *(f"x{number},支付页面" for number in range(100))]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 22 and lines[-1] == "  and 80 more"
