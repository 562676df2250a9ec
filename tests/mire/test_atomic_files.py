"""Files that appear whole or not at all."""

from pathlib import Path

import pytest

from mire.atomic_files import atomic_write


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
