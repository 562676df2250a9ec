"""One process at a time."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from ensemble.training.replacement import only_training
from mire.errors import PanelError

HOLD = (
    "import sys\nfrom pathlib import Path\nfrom ensemble.training.replacement import only_training as alone\n"
    "with alone(Path(sys.argv[1])):\n    print('in', flush=True)\n    sys.stdin.read()\n"
)


def test_a_second_process_is_kept_out_until_the_first_has_left_or_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    message = re.escape(f"another training holds {path}; wait for it, or choose another --panel")
    for end in ("leave", "kill"):
        with subprocess.Popen(
            [sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as other:
            assert other.stdout is not None and other.stdin is not None
            assert other.stdout.readline() == "in\n"
            with pytest.raises(PanelError, match=message), only_training(path):
                raise AssertionError("two are in")
            if end == "kill":
                other.kill()
            else:
                other.stdin.close()
        with only_training(path):
            pass


def test_an_error_inside_frees_it(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="inside"), only_training(tmp_path / "lock"):
        raise ValueError("inside")
    with only_training(tmp_path / "lock"):
        pass


def test_a_file_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(PanelError, match="lock cannot be written: "),
        only_training(tmp_path / "file" / "lock"),
    ):
        pass
