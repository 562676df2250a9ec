"""The report's charts: matplotlib draws them as SVG, the page's style sheet colours them, light or dark."""

import io
import re
import warnings
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec

from markupsafe import Markup

from ensemble.report.ablation_result import Calibration, Contribution, CurvePoint

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Drawing = ParamSpec("Drawing")

INK, SOFT, LINE, ACCENT, RIGHT = "#1d1f21", "#666a70", "#e3e3de", "#c8471f", "#1c7c4a"
_VARIABLES = {INK: "--ink", SOFT: "--soft", LINE: "--line", ACCENT: "--accent", RIGHT: "--right"}
_SIZE_INCHES = (4.2, 3.5)
_ROW_INCHES = 0.34
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: the reader's own fonts show it
    "svg.hashsalt": "mire",  # the same figures make the same bytes
    "text.parse_math": False,  # a label's dollar signs are its own
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": SOFT,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "grid.color": LINE,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.major.pad": 6,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def _chart(draw: "Callable[Drawing, Figure]") -> Callable[Drawing, Markup]:
    """Give the drawn figure as SVG, in the page's style."""

    @wraps(draw)
    def drawn(*args: Drawing.args, **kwargs: Drawing.kwargs) -> Markup:
        from matplotlib import rc_context

        with rc_context(_STYLE), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing")  # the reader's own fonts show it
            return _svg(draw(*args, **kwargs))

    return drawn


@_chart
def reliability(calibration: Calibration, n: int, across: str = "", up: str = "") -> "Figure":
    """The share that is right over the probability that is given, of ``n`` answers; a dot's area counts its answers.

    ``across`` and ``up`` are the axes' labels, here and below.
    """
    figure, axes = _figure(_SIZE_INCHES)
    axes.plot([0, 1], [0, 1], color=SOFT, linewidth=0.8, linestyle=(0, (4, 4)))
    for bins, colour in ((calibration.before, SOFT), (calibration.after, ACCENT)):
        confidence, accuracy = [part.confidence for part in bins], [part.accuracy for part in bins]
        axes.plot(confidence, accuracy, color=colour, linewidth=1.4)
        axes.scatter(confidence, accuracy, s=[8 + 220 * part.n / n for part in bins], color=colour, clip_on=False)
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel=across, ylabel=up)
    return figure


@_chart
def coverage(pairs: Sequence[tuple[float, float]], across: str = "", up: str = "") -> "Figure":
    """Accuracy over the share of samples that is answered, the most confident first; every second point is labelled."""
    figure, axes = _figure(_SIZE_INCHES)
    shares, accuracies = zip(*pairs, strict=True)
    axes.plot(shares, accuracies, color=ACCENT, linewidth=1.4, marker="o", markersize=4, clip_on=False)
    for share, accuracy in pairs[1::2]:
        axes.annotate(
            f"{accuracy:.3f}", (share, accuracy), (0, -13), textcoords="offset points", ha="center", color=INK
        )
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel=across, ylabel=up)
    return figure


@_chart
def learning(points: Sequence[CurvePoint], everything: str = "", across: str = "", up: str = "") -> "Figure":
    """F1 with its interval, one step per number of examples; ``everything`` names that of all examples."""
    figure, axes = _figure(_SIZE_INCHES)
    steps = range(len(points))
    axes.vlines(steps, [point.low for point in points], [point.high for point in points], color=INK, linewidth=1.4)
    axes.plot(steps, [point.f1 for point in points], color=ACCENT, linewidth=1.4, marker="o", markersize=4)
    for step, point in enumerate(points):
        axes.annotate(f"{point.f1:.3f}", (step, point.f1), (5, -13), textcoords="offset points", color=INK)
    axes.set_xticks(steps, [everything if point.most is None else str(point.most) for point in points])
    axes.set(xlim=(-0.3, len(points) - 0.3), ylim=(0, 1), xlabel=across, ylabel=up)
    return figure


def _changes(steps: Sequence[Contribution], reach: float) -> "Figure":
    """Changes of F1 as bars from zero, with their intervals; ``reach`` is half of the axis."""
    figure, axes = _figure((_SIZE_INCHES[0], _ROW_INCHES * (len(steps) + 1.3)))
    rows, values = range(len(steps)), [step.change for step in steps]
    axes.barh(rows, values, height=0.55, color=[RIGHT if value >= 0 else ACCENT for value in values])
    axes.hlines(rows, [step.low for step in steps], [step.high for step in steps], color=INK, linewidth=1.4)
    axes.axvline(0, color=SOFT, linewidth=0.8)
    axes.set(xlim=(-1.04 * reach, 1.04 * reach), ylim=(len(steps) - 0.5, -0.5))
    axes.set_yticks(rows, [step.voter for step in steps], color=INK)
    axes.grid(visible=False, axis="y")
    numbers = axes.secondary_yaxis("right")
    numbers.set_yticks(rows, [f"{step.change:+.3f}\n{step.low:+.3f} … {step.high:+.3f}" for step in steps])
    for side in (axes, numbers):
        side.spines[:].set_visible(False)
    return figure


changes = _chart(_changes)


def save_changes(steps: Sequence[Contribution], reach: float, files: Sequence[Path], across: str) -> None:
    """Draw as ``changes`` into files of their own, for a paper; a file's ending (.svg, .pdf) is its format.

    Raises:
        OSError: a file cannot be written.
    """
    from matplotlib import rc_context

    with rc_context(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a PDF has boxes for them
        figure = _changes(steps, reach)
        figure.axes[0].set_xlabel(across)
        for file in files:
            date = "Date" if file.suffix == ".svg" else "CreationDate"
            figure.savefig(file, metadata={date: None})


@_chart
def mixes(names: Sequence[str], before: Sequence[float], now: Sequence[float], across: str = "") -> "Figure":
    """Each label's share of the answers, before (thin) and now; the most frequent one now on top."""
    order = sorted(range(len(names)), key=lambda index: -now[index])
    figure, axes = _figure((_SIZE_INCHES[0], 0.6 * _ROW_INCHES * (len(names) + 3)))
    axes.barh(range(len(names)), [now[index] for index in order], height=0.7, color=ACCENT)
    axes.barh(range(len(names)), [before[index] for index in order], height=0.25, color=INK)
    axes.set(ylim=(len(names) - 0.4, -0.6), xlabel=across)
    axes.set_yticks(range(len(names)), [names[index] for index in order], color=INK)
    axes.grid(visible=False, axis="y")
    return figure


@_chart
def sureness(before: Sequence[float], now: Sequence[float], across: str = "", up: str = "") -> "Figure":
    """The share of answers below each probability, before (grey) and now."""
    figure, axes = _figure(_SIZE_INCHES)
    for values, colour in ((before, SOFT), (now, ACCENT)):
        axes.ecdf(values, color=colour, linewidth=1.4)
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel=across, ylabel=up)
    return figure


def _figure(size: tuple[float, float]) -> "tuple[Figure, Axes]":
    """A figure of its own: pyplot would keep every one of them."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.subplots()


def _svg(figure: "Figure") -> Markup:
    """The figure as an element of a page: no header, no size of its own, colours by the page's variables."""
    file = io.StringIO()
    no_metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(file, format="svg", transparent=True, metadata=no_metadata)
    text = file.getvalue()
    text = re.sub(r' xmlns(:xlink)?="[^"]*"| <defs>\s*<style.*?</defs>\s*', "", text[text.index("<svg") :], flags=re.S)
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    text = re.sub(r'<svg width="\S+" height="\S+"', '<svg class="plot"', text, count=1)
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, f"var({variable})")
    # matplotlib wrote it, and escapes the texts in it.
    return Markup(text)  # noqa: S704
