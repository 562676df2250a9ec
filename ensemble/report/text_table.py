"""An ablation's figures as text."""

from typing import Any

from ensemble.report.ablation_result import AblationResult, MeanFigures, SubsetFigures

_WIDTHS = (5, 6, 15, 6, 8, 5, 6)


def table(result: AblationResult) -> str:
    """The figures as text, one line per subset of voters."""
    lines = [_line("task", "voters", "n", "F1", "95 % interval", "macro", "accuracy", "calls", "tokens")]
    for task, part in result.tasks.items():
        for system in part.systems:
            more = (f"{system.macro_f1:.3f}", f"{system.accuracy:.3f}", system.calls, system.output_tokens)
            lines.append(_line(task, " + ".join(system.voters), *_f1(system), *more))
    lines += [_line("mean", mean.name, *_f1(mean), "", "", "", "") for mean in result.mean]
    return "\n".join(lines)


def _f1(figures: SubsetFigures | MeanFigures) -> tuple[int, str, str]:
    return figures.n, f"{figures.f1:.3f}", f"{figures.low:.3f} - {figures.high:.3f}"


def _line(*cells: Any) -> str:
    task, voters, *figures = map(str, cells)
    return f"{task:<9} {voters:<38} " + " ".join(
        f"{cell:>{width}}" for cell, width in zip(figures, _WIDTHS, strict=True)
    )
