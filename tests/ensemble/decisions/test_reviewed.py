"""People's labels in a training file: agreement is taken, everything else is listed."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from records import dialogue_instruction

from ensemble import review
from mire.cli import run

INSTRUCTION = dialogue_instruction("用户: 会生锈吗")


def task(sample: object, *labels: str | None, people: tuple[object, ...] = (1, 2, 3)) -> dict[str, Any]:
    """A task that some people labelled; None is a skipped one."""
    annotations = [
        {"completed_by": who, "was_cancelled": label is None, "result": [chosen(str(label)), {"from_name": "note"}]}
        for who, label in zip(people, labels, strict=False)
    ]
    return {"id": 7, "data": {"sample": sample}, "annotations": annotations, "predictions": []}


def chosen(label: str) -> dict[str, Any]:
    return {"from_name": "label", "to_name": "dialogue", "type": "choices", "value": {"choices": [label]}}


def merged(folder: Path, tasks: object, *extra: str) -> tuple[int, dict[str, str], list[dict[str, Any]]]:
    """The exit code, the labels that were written, and the disagreements."""
    outputs = {"a": "", "b": "", "c": "old", "d": "old", "e": "old", "f": ""}
    records = [{"id": key, "instruction": INSTRUCTION, "output": label} for key, label in outputs.items()]
    (folder / "d.json").write_text(json.dumps(records, ensure_ascii=False), "utf-8")
    (folder / "export.json").write_text(json.dumps(tasks, ensure_ascii=False), "utf-8")
    arguments = ["--tasks", str(folder / "export.json"), "--data", str(folder / "d.json")]
    code = run(review, [*arguments, "--out", str(folder / "train.json"), *extra])
    if code:
        return code, {}, []
    written = json.loads((folder / "train.json").read_text("utf-8"))
    assert all(record["instruction"] == INSTRUCTION and record["image"] == [] for record in written)
    listed = json.loads((folder / "train.disagreements.json").read_text("utf-8"))
    return code, {record["id"]: record["output"] for record in written}, listed


TASKS = [task("a", "new", "new"), task("b", "new", "other"), task("c", "new", None), task("d", "old"), task("f", None)]


def test_agreement_is_taken_and_everything_else_is_listed(tmp_path: Path) -> None:
    code, written, listed = merged(tmp_path, TASKS)
    assert code == 0
    assert written == {"a": "new", "c": "old", "d": "old", "e": "old"}
    assert listed == [
        {"id": "b", "before": None, "said": {"1": "new", "2": "other"}, "written": None},
        {"id": "c", "before": "old", "said": {"1": "new"}, "written": "old"},
    ]


def test_a_tables_pictures_are_kept(tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("截图,内容\na.png;b.png,看\n", encoding="utf-8")
    (tmp_path / "export.json").write_text(json.dumps([task("row-2", "new")]), "utf-8")
    files = ["--tasks", str(tmp_path / "export.json"), "--data", str(tmp_path / "new.csv")]
    assert run(review, [*files, "--out", str(tmp_path / "train.json")]) == 0
    (record,) = json.loads((tmp_path / "train.json").read_text("utf-8"))
    assert (record["id"], record["output"], record["image"]) == ("row-2", "new", ["a.png", "b.png"])
    assert "用户: <image><image>看" in record["instruction"]


def test_a_label_is_replaced_where_that_is_asked_for_and_listed(tmp_path: Path) -> None:
    _, written, listed = merged(tmp_path, TASKS, "--replace")
    assert written == {"a": "new", "c": "new", "d": "old", "e": "old"}
    assert [(entry["id"], entry["before"], entry["written"]) for entry in listed] == [
        ("b", None, None), ("c", "old", "new")
    ]  # fmt: skip


@pytest.mark.parametrize("value", ["x", None, {"choices": {"0": "new"}}, {"choices": "new"}, {"choices": []}])
def test_an_annotation_without_a_choice_is_none(tmp_path: Path, value: object) -> None:
    entry = task("a", "new")
    entry["annotations"][0]["result"] = [{"from_name": "label", "value": value}]
    code, written, listed = merged(tmp_path, [entry])
    assert (code, "a" in written, listed) == (0, False, [])


def test_a_person_is_known_by_number_and_the_last_word_counts(tmp_path: Path) -> None:
    entry = task("b", "new", "other", people=({"id": 4, "email": "a@example.com"}, {"id": 4}))
    _, written, listed = merged(tmp_path, [entry])
    assert written["b"] == "other" and listed == []


@pytest.mark.parametrize(
    ("tasks", "said"),
    [
        ([{"sample": "a", "label": "new"}], "is no JSON export of Label Studio: Field required; export the project as"),
        ([task("nobody", "new")], "1 samples are not in .*d.json .first: 'nobody'."),
        ([task(7, "new")], "task 1 has no 'sample'; name an export of what predict --review wrote"),
    ],
)
def test_what_is_no_review_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], tasks: object, said: str
) -> None:
    assert merged(tmp_path, tasks)[0] == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(said, line)


def test_the_data_file_is_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "train.json").symlink_to(tmp_path / "d.json")
    assert merged(tmp_path, TASKS)[0] == 1
    assert "train.json is read here; name another file with --out" in capsys.readouterr().err
