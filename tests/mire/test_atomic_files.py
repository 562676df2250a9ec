"""Files that appear whole or not at all."""

from pathlib import Path

import pytest

from mire.atomic_files import atomic_write, read_model, write_text
from mire.budget import Cost
from mire.errors import PanelError


def test_until_the_end_the_old_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_text("old")
    with atomic_write(path) as file:
        file.write("new \ud800")
        assert path.read_text() == "old"
    assert path.read_text() == "new \\ud800"


def test_a_failed_write_leaves_the_old_file_and_no_half(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_text("old")
    with pytest.raises(OSError, match="the disk is full"), atomic_write(path) as file:
        file.write("half")
        raise OSError("the disk is full")
    assert [found.name for found in tmp_path.iterdir()] == ["s.csv"]
    assert path.read_text() == "old"


def test_the_half_that_a_killed_process_left_goes_with_the_next_file(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    left = atomic_write(path)
    left.__enter__().write("half of a process that is killed now")
    assert len(list(tmp_path.iterdir())) == 1
    with atomic_write(path) as file:
        file.write("whole")
    assert [found.name for found in tmp_path.iterdir()] == ["s.csv"]
    assert path.read_text() == "whole"


@pytest.mark.parametrize("target", ["theirs.txt", "missing.txt"])
def test_a_planted_link_is_not_followed(tmp_path: Path, target: str) -> None:
    (tmp_path / "theirs.txt").write_text("theirs")
    (tmp_path / ".s.csv.part").symlink_to(tmp_path / target)
    write_text(tmp_path / "s.csv", "mine")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"s.csv": "mine", "theirs.txt": "theirs"}
    assert not (tmp_path / "s.csv").is_symlink()


def test_text_is_written_into_a_new_folder_and_nothing_else_is_left(tmp_path: Path) -> None:
    write_text(tmp_path / "new" / "a.json", "{}\n")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.json"]
    assert (tmp_path / "new" / "a.json").read_bytes() == b"{}\n"


@pytest.mark.parametrize(
    ("text", "fault"),
    [(None, "is missing; train again"), ('{"x": 1}', "is broken: Input should be an array or an object; train again"),
     ('{"x": [1, 2', "is broken: Invalid JSON: EOF .*; train again"),
     (b"\xff", "is broken: Invalid JSON: .*; train again")],
)  # fmt: skip
def test_a_file_that_is_no_model_is_named_with_the_next_step(
    tmp_path: Path, text: str | bytes | None, fault: str
) -> None:
    path = tmp_path / "a.json"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(PanelError, match=f"a.json {fault}$"):
        read_model(path, dict[str, Cost], next_step="train again")


def test_a_model_is_read(tmp_path: Path) -> None:
    write_text(tmp_path / "a.json", '{"x": [1, 19]}')
    assert read_model(tmp_path / "a.json", dict[str, Cost], next_step="") == {"x": Cost(1, 19)}
