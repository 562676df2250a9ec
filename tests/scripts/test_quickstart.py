"""The quickstart refuses what it does not know before it installs anything."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def test_an_unknown_word_is_wrong_usage() -> None:
    command = ["bash", str(ROOT / "scripts" / "quickstart.sh"), "--pages"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "usage: bash scripts/quickstart.sh [--page] [--verbose], got '--pages'\n"
