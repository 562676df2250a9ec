"""A comparison as tables (CSV, LaTeX, Markdown, plain text) and as a figure (SVG, PDF)."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import astuple, fields
from pathlib import Path

from ensemble.comparison.paired import Comparison, Row
from ensemble.report.ablation_result import Contribution
from ensemble.report.charts import save_changes
from mire.atomic_files import atomic_write, write_text
from mire.errors import printable

Table = list[list[str]]
"""Cells by row, the header first; all rows are equally long."""
SUMMARY = ("task", "system", "n", "runs", "F1", "95 % interval", "difference", "its interval", "McNemar p")
_IN_LATEX = str.maketrans(
    {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}",
     "±": r"$\pm$", **{sign: f"\\{sign}" for sign in "&%$#_{}"}}
)  # fmt: skip


def write_comparison(comparison: Comparison, folder: Path) -> list[Path]:
    """Write every form; the figure only where there are two systems. Returns the files.

    Raises:
        OSError: the folder cannot be written.
    """
    tables, stem = [summary(comparison), by_label(comparison)], folder / "compare"
    files = [stem.with_suffix(ending) for ending in (".csv", ".md", ".tex", ".svg", ".pdf")]
    _write_csv(comparison.rows, files[0])
    write_text(files[1], "\n\n".join([*map(as_markdown, tables), comparison.verdict]) + "\n")
    write_text(files[2], "\n\n".join(map(as_latex, tables)) + "\n")
    if not (steps := list(_steps(comparison.rows))):
        return files[:3]
    reach = max(0.01, *(max(-step.low, step.high) for step in steps))
    save_changes(steps, reach, files[3:], f"F1, difference to {comparison.rows[0].system}")
    return files


def summary(comparison: Comparison) -> Table:
    """Each system on each task and on the mean of both."""
    return [list(SUMMARY), *(_cells(row) for row in comparison.rows if not row.label)]


def by_label(comparison: Comparison) -> Table:
    """F1 by label, one column per system."""
    rows = [row for row in comparison.rows if row.label]
    systems = list(dict.fromkeys(row.system for row in rows))
    of_label: dict[tuple[str, str, str], list[str]] = {}
    for row in rows:
        of_label.setdefault((row.task, printable(row.label), str(row.n)), []).append(_f1(row))
    return [["task", "label", "n", *systems], *([*key, *cells] for key, cells in of_label.items())]


def as_text(table: Table) -> str:
    """Columns of equal width."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table
    )


def as_markdown(table: Table) -> str:
    """A pipe table."""
    head, *rows = ([cell.replace("|", "\\|") for cell in row] for row in table)
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def as_latex(table: Table) -> str:
    """A ``tabular`` that needs no package; labels in Chinese need XeLaTeX or LuaLaTeX."""
    head, *rows = (" & ".join(cell.translate(_IN_LATEX) for cell in row) + r" \\" for row in table)
    return "\n".join([rf"\begin{{tabular}}{{{'l' * len(table[0])}}}", head, r"\hline", *rows, r"\end{tabular}"])


def _cells(row: Row) -> list[str]:
    p = "" if row.mcnemar_p is None else "<0.001" if row.mcnemar_p < 0.001 else f"{row.mcnemar_p:.3f}"
    change = "" if row.difference is None else f"{row.difference:+.3f}"
    own, versus = _bounds(row.low, row.high, ".3f"), _bounds(row.difference_low, row.difference_high, "+.3f")
    return [row.task, row.system, str(row.n), str(row.runs), _f1(row), own, change, versus, p]


def _f1(row: Row) -> str:
    return f"{row.f1:.3f}" + (f" ± {row.sd:.3f}" if row.sd is not None else "")


def _bounds(low: float | None, high: float | None, form: str) -> str:
    return "" if low is None or high is None else f"{low:{form}} to {high:{form}}"


def _write_csv(rows: Sequence[Row], path: Path) -> None:
    with atomic_write(path, encoding="utf-8-sig") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([field.name for field in fields(Row)])
        writer.writerows(astuple(row) for row in rows)


def _steps(rows: Sequence[Row]) -> Iterator[Contribution]:
    """What the figure shows: each difference with its interval."""
    for row in rows:
        if row.difference is not None and row.difference_low is not None and row.difference_high is not None:
            name, bounds = f"{row.system} ({row.task})", {"low": row.difference_low, "high": row.difference_high}
            yield Contribution(voter=name, f1=row.f1, change=row.difference, **bounds)
