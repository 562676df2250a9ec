"""Files that appear whole or not at all."""

from pathlib import Path

import pytest

from mire.files import whole_file


def test_until_the_end_the_old_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_text("old")
    with whole_file(path) as file:
        file.write("new \ud800")
        assert path.read_text() == "old"
    assert path.read_text() == "new \\ud800"


def test_a_failed_write_leaves_the_old_file_and_no_half(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_text("old")
    with pytest.raises(OSError, match="the disk is full"), whole_file(path) as file:
        file.write("half")
        raise OSError("the disk is full")
    assert [found.name for found in tmp_path.iterdir()] == ["s.csv"]
    assert path.read_text() == "old"


def test_the_half_that_a_killed_process_left_goes_with_the_next_file(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    left = whole_file(path)
    left.__enter__().write("half of a process that is killed now")
    assert len(list(tmp_path.iterdir())) == 1
    with whole_file(path) as file:
        file.write("whole")
    assert [found.name for found in tmp_path.iterdir()] == ["s.csv"]
    assert path.read_text() == "whole"
