from pathlib import Path

import pytest

from ensemble.prediction.submission import SubmissionLine, read_submission, write_lines, write_submission
from mire.errors import DataError
from mire.prompts import parse_prompt
from mire.samples import Sample


def sample(name: str, **row: object) -> Sample:
    return Sample(
        id=name, prompt=parse_prompt(""), row={"id": name, "instruction": "看,图\n", "image": ["a.jpg"]} | row
    )


def test_official_columns_bom_and_order(tmp_path: Path) -> None:
    path = tmp_path / "out" / "s.csv"
    write_submission(path, [sample("b"), sample("a")], {"a": "退款页面", "b": "店铺页面"})
    assert path.read_bytes().decode("utf-8") == (
        "\ufeffid,instruction,image,predict\nb,\"看,图\n\",['a.jpg'],店铺页面\na,\"看,图\n\",['a.jpg'],退款页面\n"
    )
    assert read_submission(path) == {"b": "店铺页面", "a": "退款页面"}


def test_id_and_predict_only_without_bom(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    write_submission(path, [sample("a")], {"a": "x"}, columns="id", encoding="utf-8")
    assert path.read_bytes() == b"id,predict\na,x\n"


@pytest.mark.parametrize("labels", [{}, {"a": "x", "b": "y"}, {"b": "y"}])
def test_ids_must_agree(tmp_path: Path, labels: dict[str, str]) -> None:
    with pytest.raises(DataError, match="every sample needs exactly one prediction; [12] ids differ"):
        write_submission(tmp_path / "s.csv", [sample("a")], labels)
    assert not list(tmp_path.iterdir())


def test_a_lone_surrogate_does_not_cost_the_file(tmp_path: Path) -> None:
    write_submission(tmp_path / "s.csv", [sample("a", instruction="\ud800")], {"a": "x"})
    assert read_submission(tmp_path / "s.csv") == {"a": "x"}


def test_a_predict_column_of_the_test_file_is_replaced(tmp_path: Path) -> None:
    write_submission(tmp_path / "s.csv", [sample("a", predict="old")], {"a": "new"})
    assert read_submission(tmp_path / "s.csv") == {"a": "new"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,label\na,x\n", r"must have the columns 'id' and 'predict', got \['id', 'label'\]"),
        ("", r"got \[\]"),
        ("id,predict\na,x\na,y\n", "ids must be unique, 'a' occurs twice"),
    ],
)
def test_broken_submissions(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "s.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_submission(path)


def test_scores_that_only_the_review_needs_are_not_written(tmp_path: Path) -> None:
    line = SubmissionLine("a", {"id": "a"}, "x", (0.5, 0.1, "y", "", 1))
    write_lines(tmp_path / "s.csv", [line], ["id"])
    assert (tmp_path / "s.csv").read_text(encoding="utf-8-sig") == "id,predict\na,x\n"
