"""Commands in the documentation exist, with the options that are shown; links lead somewhere."""

import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from ensemble.command import COMMANDS

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("README*.md"), *(ROOT / "docs").glob("*.md")])


def commands() -> list[tuple[str, str]]:
    """Page and line of every command of ours in a fenced block."""
    found = []
    for page in PAGES:
        for block in re.findall(r"```bash\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            lines = block.replace("\\\n", " ").splitlines()
            found += [(page.name, line) for line in lines if re.match(r"(\S+/)?(mire|python -m) ", line)]
    return found


@cache
def known_options(module: str) -> set[str]:
    run = subprocess.run(
        [sys.executable, "-m", module.removesuffix(".__main__"), "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(re.findall(r"--[a-z-]+", run.stdout))


@pytest.mark.parametrize(("page", "line"), commands())
def test_a_command_exists_with_its_options(page: str, line: str) -> None:
    program, name, *rest = shlex.split(line, comments=True)
    module = rest.pop(0) if program.endswith("python") else COMMANDS[name][0]
    assert {word for word in rest if word.startswith("--")} <= known_options(module), page


def test_scripts_that_are_named_exist() -> None:
    for page in PAGES:
        for script in re.findall(r"\bscripts/\w+\.(?:sh|py)", page.read_text(encoding="utf-8")):
            assert (ROOT / script).is_file(), f"{page.name}: {script}"


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
