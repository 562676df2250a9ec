"""``mire compare`` on CSVs, from its arguments to its last line."""

import json
from pathlib import Path

import pytest
from records import image_instruction

from ensemble import compare
from mire.cli import run


@pytest.fixture
def line(tmp_path: Path) -> list[str]:
    """Two CSVs on 20 samples, half of either label: the first is wrong on six, the second on none."""
    records = [
        {"id": str(n), "instruction": image_instruction(), "output": "ab"[n % 2], "image": ["x"]} for n in range(20)
    ]
    (tmp_path / "truth.json").write_text(json.dumps(records))
    for name, n_wrong in (("old", 6), ("new", 0)):
        rows = [f"{n},{'ab'[n % 2 ^ (n < n_wrong)]}" for n in range(20)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["id,predict", *rows]))
    names = [f"{name}={tmp_path / name}.csv" for name in ("old", "new")]
    return [*names, "--truth", str(tmp_path / "truth.json")]


def test_the_last_line_names_the_better_one(line: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(compare, line) == 0
    labels, figures, (verdict,) = (part.splitlines() for part in capsys.readouterr().out.split("\n\n"))
    assert [words.split() for words in labels] == [
        ["task", "label", "n", "old", "new"],
        ["image", "a", "10", "0.700", "1.000"],  # seven of ten right, and seven of ten guesses
        ["image", "b", "10", "0.700", "1.000"],
    ]
    assert figures[2].split()[:5] == ["image", "new", "20", "1", "1.000"]
    assert figures[2].split()[-1] == "0.031"  # 6 against 0: 2 / 64
    assert verdict == "new is better than old by 0.300"


def test_names_are_unique(line: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        run(compare, [line[0], *line])
    assert "every system needs a name of its own" in capsys.readouterr().err


def test_a_missing_file_is_one_line(line: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(compare, [str(tmp_path / "none.csv"), *line]) == 1
    assert capsys.readouterr().err == f"error: No such file or directory ({tmp_path / 'none.csv'})\n"
