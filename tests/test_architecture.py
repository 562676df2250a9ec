"""The tree is the architecture: who may import whom, and what a command may load before it is needed."""

import ast
import re
import resource
import subprocess
import sys
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


def cpu_seconds(code: str) -> tuple[float, str]:
    """What a fresh interpreter takes for it, however busy the machine is, and what it prints."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert run.returncode == 0, run.stderr
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, run.stdout


@pytest.fixture(scope="module")
def a_second() -> float:
    """About one, on the machine whose figures stand in the documentation; elsewhere what takes as long there."""
    return 8 * max(cpu_seconds("import numpy, pydantic, yaml, PIL.Image")[0] for _ in range(3))


@pytest.mark.parametrize("command", COMMANDS)
def test_help_loads_no_heavy_library(command: str, a_second: float) -> None:
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
    seconds, said = cpu_seconds(code)
    assert "usage:" in said
    assert seconds < a_second


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
