"""Blends of files with distributions, by hand."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from records import image_instruction

from ensemble.comparison.blending import FITTED, MEAN, Blend, blend_files, cost_text, report
from ensemble.comparison.paired import Row
from ensemble.voting.distributions import Distribution, Spent, write_distributions
from mire.errors import DataError

LABELS = {"image": ("a", "b")}
N = 40
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes the probabilities of label ``a`` of samples 0, 1, ... and gives the file."""

    def write(name: str, shares: Sequence[float], **changes: Any) -> Path:
        row = {"degraded": False, "spent": Spent(2, 30, 6), **changes}
        found = [Distribution(str(n), "image", {"a": share, "b": 1 - share}, **row) for n, share in enumerate(shares)]
        write_distributions(tmp_path / name, found, LABELS)
        return tmp_path / name

    return write


def truth_of(folder: Path, labels: str) -> Path:
    records = [
        {"id": str(n), "instruction": image_instruction(), "output": label, "image": ["x"]}
        for n, label in enumerate(labels)
    ]
    (folder / "truth.json").write_text(json.dumps(records, ensure_ascii=False), encoding="utf-8")
    return folder / "truth.json"


def shares(sure: range, labels: str) -> list[float]:
    """Of label ``a``: right at 0.9 on the samples ``sure``, and wrong at 0.55 on all others."""
    right = [0.9 if n in sure else 0.45 for n in range(len(labels))]
    return [share if label == "a" else 1 - share for share, label in zip(right, labels, strict=True)]


def halves(write: Write, labels: str) -> list[Path]:
    """Two files that are right on one half each, and unsure on the other."""
    n = len(labels)
    return [write("first.csv", shares(range(n // 2), labels)), write("second.csv", shares(range(n // 2, n), labels))]


def row_of(blend: Blend, system: str) -> Row:
    assert blend.comparison
    (row,) = [row for row in blend.comparison.rows if row.system == system and not row.label]
    return row


def test_without_labels_it_is_the_plain_mean(write: Write) -> None:
    blend = blend_files([write("x.csv", [0.9, 0.1]), write("y.csv", [0.2, 0.2], degraded=True)])
    assert [(row.id, row.label) for row in blend.rows] == [("0", "a"), ("1", "b")]
    assert [row.probabilities for row in blend.rows] == [
        pytest.approx({"a": 0.55, "b": 0.45}), pytest.approx({"a": 0.15, "b": 0.85})
    ]  # fmt: skip
    assert [row.degraded for row in blend.rows] == [True, True]
    assert blend.comparison is None
    assert report(blend).startswith("image: the plain mean of the files, as no label was given to fit weights on\n")


def test_a_blend_that_is_better_beyond_noise_is_named(write: Write, tmp_path: Path) -> None:
    labels = "ab" * (N // 2)
    first, second = halves(write, labels)
    blend = blend_files([first, second], truth_of(tmp_path, labels))
    assert [row_of(blend, name).f1 for name in (str(first), str(second), MEAN, FITTED)] == [0.5, 0.5, 1, 1]
    assert "".join(row.label for row in blend.rows) == labels
    fitted = row_of(blend, FITTED)
    assert (fitted.n, fitted.low, fitted.high) == (N, 1, 1)
    assert (fitted.difference, fitted.mcnemar_p) == (0.5, pytest.approx(2 / 2**20))  # 20 samples against none
    weights = blend.weights["image"]
    assert weights.n_fitted == N
    assert sum(voter.weight for voter in weights.voters.values()) == pytest.approx(1)
    *_, weighed, cost, verdict = report(blend).splitlines()
    assert weighed.startswith(f"image: {first} weighs 0.") and f"{second} weighs 0." in weighed
    assert cost.startswith("the files together cost at most 4 calls and 60 output tokens per sample and 12 parameters")
    assert verdict == f"{MEAN} is better than {first} by 0.500; {FITTED} is better than {first} by 0.500"


def test_inside_the_noise_nothing_is_named(write: Write, tmp_path: Path) -> None:
    first, second = halves(write, "abab")
    blend = blend_files([first, second], truth_of(tmp_path, "abab"))
    assert blend.comparison
    assert blend.comparison.verdict == f"no difference beyond noise between {first} and {second}, {MEAN}, {FITTED}"


def test_the_best_file_is_what_others_are_compared_with(write: Write, tmp_path: Path) -> None:
    labels = "ab" * (N // 2)
    bad, good = write("bad.csv", [0.5] * N), write("good.csv", shares(range(N), labels))
    blend = blend_files([bad, good], truth_of(tmp_path, labels))
    assert blend.comparison
    assert blend.comparison.rows[0].system == str(good)
    assert {name: voter.weight for name, voter in blend.weights["image"].voters.items()} == {str(bad): 0, str(good): 1}
    # nothing but a is ever answered: F1 of a is 2/3, of b 0
    assert row_of(blend, str(bad)).f1 == pytest.approx(1 / 3)


def test_a_samples_own_label_does_not_change_its_answer(write: Write, tmp_path: Path) -> None:
    labels = "ab" * (N // 2)
    files = halves(write, labels)
    usual, other = (blend_files(files, truth_of(tmp_path, text)) for text in (labels, f"b{labels[1:]}"))
    assert usual.rows[0] == other.rows[0]
    assert usual.rows != other.rows


def test_weights_answer_files_of_other_samples(write: Write, tmp_path: Path) -> None:
    labels = "ab" * (N // 2)
    files = [write("bad.csv", [0.5] * N), write("good.csv", shares(range(N), labels))]
    new = [write("new-bad.csv", [0.99, 0.99, 0.99]), write("new-good.csv", [0.4, 0.6, 0.3])]
    blend = blend_files(files, truth_of(tmp_path, labels), new)
    assert [row.label for row in blend.rows] == ["b", "a", "b"]
    assert row_of(blend, FITTED).n == N


def test_files_must_fit_each_other_and_the_labels(write: Write, tmp_path: Path) -> None:
    two, three = write("two.csv", [0.9, 0.1]), write("three.csv", [0.9, 0.1, 0.2])
    with pytest.raises(
        DataError, match=r"three.csv, row 4: .*two.csv lacks this image sample, '2', and 0 more; predict"
    ):
        blend_files([three, two])
    with pytest.raises(DataError, match=r"three.csv, row 4: .*two.csv lacks this image sample"):
        blend_files([two, three])
    with pytest.raises(
        DataError, match=r"two.csv must hold exactly the samples of .*; 1 differ \(first: '2'\); predict"
    ):
        blend_files([two, two], truth_of(tmp_path, "aba"))
    with pytest.raises(DataError, match=r"two.csv, row 3: .*truth.json labels '1' 'c', which is no image label of the"):
        blend_files([two, two], truth_of(tmp_path, "ac"))


@pytest.mark.parametrize(
    ("spent", "words"),
    [
        (Spent(3, 100, 9_999_999_999), "kept"),
        (Spent(4, 100, 1), "BROKEN by this blend"),
        (Spent(3, 101, 1), "BROKEN by this blend"),
        (Spent(3, 100, 10_000_000_000), "BROKEN unless the panels share a base"),
    ],
)
def test_the_rule_of_the_challenge(spent: Spent, words: str) -> None:
    rows = [Distribution(str(n), "image", {"a": 1.0}, degraded=False, spent=each) for n, each in
            enumerate((Spent(1, 1, 1), spent))]  # fmt: skip
    assert cost_text(rows).endswith(f"below 10,000,000,000 parameters: {words}")


def test_files_that_do_not_tell_their_cost(write: Write) -> None:
    blend = blend_files([write("x.csv", [0.9]), write("y.csv", [0.2], spent=None)])
    assert "they do not all tell it, the challenge allows 3 calls and 100 output tokens" in cost_text(blend.rows)
