"""The curve of a voter that knows a label as soon as it has two examples of it."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ensemble.evaluation import learning_curve as room
from ensemble.evaluation.learning_curve import first_of_each, read_learning_curve, write_learning_curve
from ensemble.report.ablation_result import ExamplesFigures
from mire.errors import PanelError
from mire.labels import Label, Taxonomy
from mire.panel_folder import PanelFolder
from mire.prompts import parse_prompt
from mire.samples import Sample
from mire.settings import load_settings, save_settings
from mire.votes import Vote

TAXONOMY = Taxonomy("dialogue", (Label(name="a"), Label(name="b"), Label(name="c")))


def known(label: str, n: int) -> list[Sample]:
    return [Sample(f"{label}{number}", parse_prompt("用户: x"), label=label) for number in range(n)]


def votes(samples: Sequence[Sample], learned: Sequence[str]) -> list[Vote | None]:
    """Right where the label was learned, else the first label."""
    chosen = [TAXONOMY.index(str(sample.label)) if sample.label in learned else 0 for sample in samples]
    rows = [tuple(0.8 if place == index else 0.1 for place in range(3)) for index in chosen]
    return [Vote("v", sample.id, row) for sample, row in zip(samples, rows, strict=True)]


@pytest.fixture
def panel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PanelFolder:
    def train_voter(name: str, few: Sequence[Sample], **_: Any) -> Any:
        if not few:
            raise PanelError("too few")
        counts = [str(sample.label) for sample in few]
        learned = [label for label in "abc" if counts.count(label) > 1]
        return SimpleNamespace(vote=lambda samples: votes(samples, learned))

    monkeypatch.setattr(room, "train_voter", train_voter)
    settings = load_settings("cpu")
    monkeypatch.setattr(type(settings), "taxonomy", lambda self, task: TAXONOMY)
    save_settings(settings, tmp_path / "settings.json")
    (tmp_path / "dialogue").mkdir()
    return PanelFolder(tmp_path)


def test_the_fewer_are_among_the_more() -> None:
    samples = [*known("a", 9), *known("b", 2)]
    drawn = [{each.id for each in first_of_each(samples, n, seed=3)} for n in (0, 1, 2, 5)]
    assert [len(ids) for ids in drawn] == [0, 2, 4, 7]
    assert drawn[1] < drawn[2] < drawn[3]
    assert drawn[3] != {each.id for each in first_of_each(samples, 5, seed=4)}


def test_a_curve_climbs_with_the_examples(panel: PanelFolder) -> None:
    samples = [*known("a", 8), *known("b", 8), *known("c", 0)]
    folds = {sample.id: place % 4 for place, sample in enumerate(samples)}
    write_learning_curve(panel, "dialogue", samples, folds, {"v": votes(samples, "ab")})
    curve = read_learning_curve(panel, "dialogue")
    assert curve is not None
    # Six of each label are learned from; without any the voter gives no vote, so there is no point.
    assert [point.most for point in curve.points] == [1, 2, 5, None]
    # Four of each label are scored. All are called a: F1 of a 8 / 12, of b 0.
    assert (curve.n, curve.voters) == (8, ("v",))
    assert [point.f1 for point in curve.points] == pytest.approx([1 / 3, 1, 1, 1])
    first, second, *_ = curve.points
    assert first.versus_before is None and first.low < 1 / 3 < first.high
    assert second.versus_before is not None and second.versus_before.low > 0
    assert curve.labels == (
        ExamplesFigures(name="a", n=8, f1=1.0),
        ExamplesFigures(name="b", n=8, f1=1.0),
        ExamplesFigures(name="c", n=0, f1=None),
    )


def test_without_folds_or_quick_voters_an_old_curve_goes(panel: PanelFolder) -> None:
    samples = known("a", 4)
    for folds, cast in (({sample.id: 0 for sample in samples}, {"v": votes(samples, "a")}), ({"a0": 0, "a1": 1}, {})):
        panel.learning_curve("dialogue").write_text("{}")
        write_learning_curve(panel, "dialogue", samples, folds, cast)
        assert read_learning_curve(panel, "dialogue") is None


def test_errors_per_example_say_who_needs_more() -> None:
    figures = [("many", 10, 0.5), ("few", 2, 0.8), ("none", 0, None), ("right", 1, 1.0)]
    labels = [ExamplesFigures(name=name, n=n, f1=f1) for name, n, f1 in figures]
    assert [label.name for label in sorted(labels, key=lambda label: -label.need)] == ["none", "few", "many", "right"]
