"""Files of distributions, byte for byte, and what is refused in them."""

from pathlib import Path

import pytest

from ensemble.voting.distributions import Distribution, Spent, read_distributions, write_distributions
from mire.errors import DataError

LABELS = {"image": ("甲", "a,b"), "dialogue": ("x",)}
ROWS = [
    Distribution("007", "image", {"甲": 0.25, "a,b": 0.75}, degraded=False, spent=Spent(3, 40, 8)),
    Distribution("b\rc", "dialogue", {"x": 1.0}, degraded=True, spent=None),
]
TEXT = (
    "id,task,predict,degraded,calls,output_tokens,parameters,image/甲,\"image/a,b\",dialogue/x\r\n"
    "007,image,\"a,b\",0,3,40,8,0.25,0.75,\r\n"
    "\"b\rc\",dialogue,x,1,,,,,,1.0\r\n"
)  # fmt: skip


def test_a_file_and_back(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    write_distributions(path, ROWS, LABELS)
    assert path.read_bytes().decode("utf-8") == TEXT
    labels, found = read_distributions(path)
    assert labels == LABELS
    assert [(row.id, row.task, row.probabilities, row.degraded, row.spent) for row in found.values()] == [
        (row.id, row.task, row.probabilities, row.degraded, row.spent) for row in ROWS
    ]
    assert [row.where for row in found.values()] == [f"{path}, row 2", f"{path}, row 3"]


def test_of_equal_labels_the_first_is_answered() -> None:
    assert Distribution("1", "image", {"b": 0.5, "a": 0.5}, degraded=False, spent=None).label == "b"


def test_other_programs_write_less_and_in_another_order(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("\ufeffimage/b,task,id,image/a\n0.3333,image,1,0.6666\n", encoding="utf-8")
    labels, found = read_distributions(path, {"image": ("a", "b"), "dialogue": ("x",)})
    assert labels == {"image": ("a", "b")}
    assert (found["1"].probabilities, found["1"].spent) == ({"a": 0.6666, "b": 0.3333}, None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id,predict\n1,a\n", r"p.csv, row 1: there must be one column each for id, task and every label"),
        ("id,task,image/a,image/a\n1,image,1,0\n", "row 1: there must be one column each"),
        ("id,task,image/a,image/c\n1,image,1,0\n", "row 1: all files must have the same image labels, but 'b' is not"),
        ("id,task,image/a,image/b\n1,image,1,0\n2,sound,1,0\n", "row 3: 'task' must be image, got 'sound'; write it"),
        ("id,task,image/a,image/b\n1,image,1\n", "row 2: every row must have as many cells as the first"),
        ("id,task,image/a,image/b\n1,image,1,0,0\n", "row 2: every row must have as many cells as the first"),
        ("id,task,image/a,image/b\n1,image,1.2,-0.2\n", "row 2: 'image/a' must be from 0 to 1, got '1.2'; write"),
        ("id,task,image/a,image/b\n1,image,nan,1\n", "row 2: 'image/a' must be from 0 to 1, got 'nan'"),
        ("id,task,image/a,image/b\n1,image,0.5,0.4\n", "p.csv, row 2: the probabilities must sum to 1, got 0.9; "),
        ("id,task,image/a,image/b\n1,image,1,0\n1,image,0,1\n", "row 3: ids must be unique, '1' occurs twice; remove"),
        ("id,task,image/a,image/b\n", "holds no sample; write it with mire predict --probabilities"),
        ('id,task,image/a,image/b\n"1"2,image,1,0\n', "is no CSV in UTF-8"),
    ],
)  # fmt: skip
def test_what_is_no_file_of_distributions(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=words):
        read_distributions(path, {"image": ("a", "b")})
