"""A comparison as tables and as a figure."""

import csv
from pathlib import Path

import pytest

from ensemble.comparison.paired import Comparison, Row
from ensemble.comparison.tables import as_latex, as_markdown, as_text, by_label, summary, write_comparison

ROWS = (
    Row("image", "", "old", 10, 1, 0.5, None, 0.25, 0.75),
    Row("image", "", "a_b", 10, 2, 0.75, 0.125, 0.5, 1.0, 0.25, -0.125, 0.5, 0.0001),
    Row("image", "x|y", "old", 10, 1, 0.5, None),
    Row("image", "x|y", "a_b", 10, 2, 0.75, 0.125, difference=0.25),
)
COMPARISON = Comparison(ROWS, "no difference beyond noise")


def test_both_tables() -> None:
    _, old, new = summary(COMPARISON)
    assert old == ["image", "old", "10", "1", "0.500", "0.250 to 0.750", "", "", ""]
    assert new[4:] == ["0.750 ± 0.125", "0.500 to 1.000", "+0.250", "-0.125 to +0.500", "<0.001"]
    assert by_label(COMPARISON) == [
        ["task", "label", "n", "old", "a_b"],
        ["image", "x|y", "10", "0.500", "0.750 ± 0.125"],
    ]


def test_every_notation() -> None:
    table = [["F1", "a_b"], ["0.750 ± 0.125", "x|y <1 %"]]
    assert as_text(table) == "F1             a_b\n0.750 ± 0.125  x|y <1 %"
    assert as_markdown(table) == "| F1 | a_b |\n| --- | --- |\n| 0.750 ± 0.125 | x\\|y <1 % |"
    assert as_latex(table).splitlines() == [
        r"\begin{tabular}{ll}",
        r"F1 & a\_b \\",
        r"\hline",
        r"0.750 $\pm$ 0.125 & x|y \textless{}1 \% \\",
        r"\end{tabular}",
    ]


def test_files_hold_every_figure(tmp_path: Path) -> None:
    files = write_comparison(COMPARISON, tmp_path / "out")
    assert [path.name for path in files] == ["compare.csv", "compare.md", "compare.tex", "compare.svg", "compare.pdf"]
    with files[0].open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [rows[1][name] for name in ("system", "sd", "difference_low", "mcnemar_p")] == [
        "a_b",
        "0.125",
        "-0.125",
        "0.0001",
    ]
    assert (rows[0]["sd"], rows[3]["label"], rows[3]["low"]) == ("", "x|y", "")
    assert files[1].read_text(encoding="utf-8").endswith("\n\nno difference beyond noise\n")
    svg = files[3].read_text(encoding="utf-8")
    assert "a_b (image)" in svg and "+0.250" in svg and "difference to old" in svg
    assert files[4].read_bytes().startswith(b"%PDF")


def test_one_system_has_no_figure(tmp_path: Path) -> None:
    assert [path.suffix for path in write_comparison(Comparison(ROWS[::2], ""), tmp_path)] == [".csv", ".md", ".tex"]
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("table", [as_text, as_markdown, as_latex])
def test_a_label_stays_on_its_line(table: object) -> None:
    assert callable(table)
    rows = (Row("image", "two\nlines", "old", 1, 1, 1.0, None),)
    assert "two\\u000alines" in table(by_label(Comparison(rows, ""))).replace("textbackslash{}", "")
