import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ensemble.command import COMMANDS, entry
from mire import __version__


@pytest.mark.parametrize("word", COMMANDS)
def test_every_word_has_a_command_behind_it(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        entry([word, "--help"])
    assert f"usage: mire {word}" in capsys.readouterr().out


def test_the_other_words_go_to_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert entry(["route", "--prompt", "判断用户的意图: 用户: 会生锈吗 客服: 不会"]) == 0
    assert json.loads(capsys.readouterr().out)["task"] == "dialogue"


def test_an_unknown_word_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        entry(["predikt"])
    assert "invalid choice: 'predikt'" in capsys.readouterr().err


def test_the_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        entry(["--help"])
    said = capsys.readouterr().out
    assert all(re.search(rf"^ +{word}( |$)", said, re.MULTILINE) for word in COMMANDS)


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        entry(["--version"])
    assert capsys.readouterr().out == f"mire {__version__}\n"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("mire pre", ["predict "]),
        ("mire do", ["doctor "]),
        ("mire train ", ["image", "dialogue", "all"]),
        ("mire predict --st", ["--strict "]),
        ("mire predict --data x.json --columns ", ["all", "id", "scores"]),
    ],
)
def test_tab_completes_commands_and_their_options(line: str, expected: list[str], tmp_path: Path) -> None:
    # what the shell function of argcomplete sets
    asked = {
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(tmp_path / "said"),
        "_ARGCOMPLETE_IFS": "\n",
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        "COMP_TYPE": "9",
    }
    subprocess.run([sys.executable, "-m", "ensemble.command"], env=os.environ | asked, check=True, timeout=60)
    said = (tmp_path / "said").read_text().split("\n")
    assert [word for word in said if not word.startswith("-") or line.endswith("--st")] == expected
