"""The tree is the architecture: who may import whom, and what a command may load before it is needed."""

import ast
import re
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {
    "mire": {"mire"},
    "router": {"mire", "router"},
    "experts": {"mire", "experts"},
    "ensemble": {"mire", "router", "experts", "ensemble"},
}
COMMANDS = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__main__")
    for package in MAY_IMPORT
    for path in (ROOT / package).rglob("*.py")
    if '__name__ == "__main__"' in path.read_text(encoding="utf-8")
)


def imported(path: Path) -> set[str]:
    """Top-level packages that a file imports anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(str(node.module).split(".")[0])
    return found


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_flow_one_way(package: str) -> None:
    files = list((ROOT / package).rglob("*.py"))
    assert files
    for path in files:
        ours = imported(path) & MAY_IMPORT.keys()
        assert ours <= MAY_IMPORT[package], f"{path.relative_to(ROOT)} imports {ours - MAY_IMPORT[package]}"


def test_every_command_is_found() -> None:
    assert len(COMMANDS) >= 19
    assert {"ensemble.serve", "ensemble.rules", "experts.qwen2vl.convert", "router.calibrate"} <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_loads_no_heavy_library(command: str) -> None:
    code = (
        "import runpy, sys\n"
        f"sys.argv = ['{command}', '--help']\n"
        "try:\n"
        f"    runpy.run_module('{command}', run_name='__main__')\n"
        "except SystemExit as stop:\n"
        "    assert not stop.code\n"
        "heavy = {'torch', 'transformers', 'sklearn', 'lightgbm', 'scipy', 'matplotlib', 'ray', 'pyarrow'}\n"
        "heavy &= sys.modules.keys()\n"
        "assert not heavy, heavy\n"
    )
    started = time.monotonic()
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "usage:" in run.stdout
    # One second is promised on a quiet machine; this one may be running other tests.
    assert time.monotonic() - started < 5


def test_no_pickle_is_ever_loaded() -> None:
    for package in MAY_IMPORT:
        for path in (ROOT / package).rglob("*.py"):
            assert not imported(path) & {"pickle", "joblib", "dill", "cloudpickle"}, path


def test_every_exception_from_the_security_rules_says_why() -> None:
    found = 0
    for path in [*ROOT.glob("scripts/**/*.py"), *(p for package in MAY_IMPORT for p in (ROOT / package).rglob("*.py"))]:
        lines = path.read_text(encoding="utf-8").splitlines()
        for above, line in pairwise(lines):
            if re.search(r"noqa: S\d", line):
                found += 1
                assert above.strip().startswith("# ") or re.search(r"noqa: S\d", above), f"{path}: {line.strip()}"
    assert found >= 5
