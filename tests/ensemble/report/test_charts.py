"""Charts, read back from the SVG that a page gets."""

import re
from xml.etree import ElementTree

import pytest

from ensemble.report import charts
from ensemble.report.ablation_result import Bin, Calibration, Contribution, CurvePoint, ErrorByChance

CHANCE = ErrorByChance(mean=0.1, high=0.2)
BINS = (
    Bin(low=0.4, high=0.5, n=1, confidence=0.5, accuracy=0.0),
    Bin(low=0.9, high=1.0, n=3, confidence=1.0, accuracy=1.0),
)
STEP = Contribution(voter="screen_text", f1=0.6875, change=0.0625, low=-0.125, high=0.25)


def elements(svg: str, colour: str, tag: str) -> list[ElementTree.Element]:
    """Elements of one kind that are filled or drawn in one of the page's colours."""
    whole = ElementTree.fromstring(svg.replace("xlink:", ""))
    return [found for found in whole.iter(tag) if f"var({colour})" in found.get("style", "")]


def extent(path: ElementTree.Element) -> tuple[float, float]:
    """Leftmost and rightmost point of a path."""
    xs = [float(x) for x in re.findall(r"[ML] (\S+) \S+", path.get("d", ""))]
    return min(xs), max(xs)


def test_changes_are_drawn_to_scale_from_zero() -> None:
    worse = STEP.model_copy(update={"voter": "qwen2vl", "change": -0.125})
    svg = charts.changes([STEP, worse], 0.25)
    (gain,), (loss,) = elements(svg, "--right", "path"), elements(svg, "--accent", "path")
    zero, right = extent(gain)
    left, end = extent(loss)
    assert end == pytest.approx(zero)
    assert zero - left == pytest.approx(2 * (right - zero))
    whiskers = [extent(path) for path in elements(svg, "--ink", "path")]
    # from -0.125 to +0.25
    assert [(high - zero) / (right - zero) for _, high in whiskers] == pytest.approx([4, 4], abs=0.01)
    assert ">+0.062</text>" in svg and ">-0.125 … +0.250</text>" in svg and ">qwen2vl</text>" in svg


def test_a_reliability_diagram_has_both_lines_and_dots_by_their_answers() -> None:
    calibration = Calibration(
        error_before=0.5, error_after=0.0, error_by_chance=CHANCE, before=BINS, after=BINS[1:], coverage=()
    )
    svg = charts.reliability(calibration, 4, "given", "share that is right")
    before, after = (elements(svg, colour, "path") for colour in ("--soft", "--accent"))
    widths = [round(right - left, 1) for left, right in map(extent, before)]
    # the line of two points spans half of the frame, the diagonal all of it
    assert max(widths) == pytest.approx(2 * sorted(widths)[-2], abs=0.2)
    assert len(after) >= 2
    assert "share that is right" in svg


def test_coverage_tells_every_second_accuracy() -> None:
    svg = charts.coverage([(0.25, 1.0), (0.5, 0.875), (0.75, 0.8), (1.0, 0.625)])
    assert [figure for figure in ("1.000", "0.875", "0.800", "0.625") if figure in svg] == ["0.875", "0.625"]


def test_a_learning_curve_names_each_step_and_its_f1() -> None:
    points = [CurvePoint(most=most, f1=f1, low=f1 - 0.125, high=f1 + 0.25, versus_before=None) for most, f1 in
              ((0, 0.25), (5, 0.5), (None, 0.625))]  # fmt: skip
    svg = charts.learning(points, "all", "examples", "F1")
    assert all(f">{text}</text>" in svg for text in ("0", "5", "all", "0.250", "0.500", "0.625", "examples", "F1"))
    assert len(elements(svg, "--ink", "path")) >= 3 and elements(svg, "--accent", "path")


def test_a_chart_stands_alone_in_a_page_in_its_colours() -> None:
    svg = charts.changes([STEP], 0.25)
    assert svg.startswith('<svg class="plot" viewBox=')
    assert "http" not in svg and "<style" not in svg
    assert not re.findall("#[0-9a-f]{6}", svg.replace("#000000", ""))
    assert svg == charts.changes([STEP], 0.25)


def test_a_labels_dollar_signs_are_its_own() -> None:
    assert "$\\bad$" in charts.mixes(["$\\bad$", "b"], [0.5, 0.5], [0.5, 0.5])
