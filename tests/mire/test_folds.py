from pathlib import Path

import pytest

from mire.errors import DataError
from mire.folds import make_folds, read_folds, trained_on, write_folds
from mire.prompts import parse_prompt
from mire.samples import Sample


def sample(number: int, label: str, *images: Path) -> Sample:
    return Sample(id=f"s{number}", prompt=parse_prompt(f"text {number}"), images=images, label=label)


def test_labels_spread_over_the_folds() -> None:
    samples = [sample(number, "ab"[number % 2]) for number in range(20)]
    folds = make_folds(samples, n_folds=5, seed=0)
    for fold in range(5):
        labels = [s.label for s in samples if folds[s.id] == fold]
        assert sorted(map(str, labels)) == ["a", "a", "b", "b"]


def test_samples_that_share_a_picture_stay_together(tmp_path: Path) -> None:
    shared = tmp_path / "a.png", tmp_path / "b.png"
    for path in shared:
        path.write_bytes(b"the same bytes")
    samples = [sample(number, "a") for number in range(18)] + [sample(18, "a", shared[0]), sample(19, "a", shared[1])]
    folds = make_folds(samples, n_folds=4, seed=3)
    assert folds["s18"] == folds["s19"]


def test_rare_labels_are_handled() -> None:
    samples = [sample(number, "common") for number in range(20)] + [sample(20, "rare"), sample(21, "rare")]
    assert len(make_folds(samples, n_folds=5, seed=0)) == 22


@pytest.mark.parametrize(("labels", "most"), [("", 0), ("a", 1), ("aaaabbbbcccc", 4)])
def test_too_few_samples(labels: str, most: int) -> None:
    samples = [sample(number, label) for number, label in enumerate(labels)]
    with pytest.raises(DataError, match=f"a label with at least 5 samples, the commonest has {most}; label more"):
        make_folds(samples, n_folds=5, seed=0)


def test_as_many_samples_of_one_label_as_folds_are_enough() -> None:
    samples = [sample(number, label) for number, label in enumerate("aaaaab")]
    assert len(make_folds(samples, n_folds=5, seed=0)) == 6


def test_training_samples_are_known_again_by_content_not_by_id_alone(tmp_path: Path) -> None:
    samples = [sample(number, "ab"[number % 2]) for number in range(4)]
    folds = make_folds(samples, n_folds=2, seed=0)
    write_folds(folds, samples, tmp_path / "folds.json")
    assert read_folds(tmp_path / "folds.json") == folds
    stranger = Sample(id="s1", prompt=parse_prompt("another text"), label="b")
    assert trained_on(tmp_path / "folds.json", [samples[0], stranger]) == {"s0"}
