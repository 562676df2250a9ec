"""The tree is the architecture: who may import whom, and what a command may load before it is needed."""

import ast
import re
import resource
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from mire.settings import Settings

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


EXEMPT = {"samples/maker/screens"}
"""Drawn screens, one file each."""
MOST_FILES = {"mire": 24, "ensemble": 20}
"""Code files that a folder may hold, ``__init__`` not counted; any other holds 14."""
ROUTE = "router.route"
"""A library that also runs: the router is small enough to need no room."""
ROOMS = ("prediction", "training", "evaluation", "report", "serve")
CLOSED = {
    "ensemble.panel": {f"ensemble.{room}" for room in ROOMS},
    "ensemble.vote": {f"ensemble.{room}" for room in ROOMS},
    "ensemble.weights": {f"ensemble.{room}" for room in ROOMS},
    "ensemble.fitting": {f"ensemble.{room}" for room in ROOMS},
    "ensemble.oof_votes": {f"ensemble.{room}" for room in ROOMS},
    "ensemble.prediction": {"ensemble.evaluation", "ensemble.training", "ensemble.report", "ensemble.serve"},
    "ensemble.evaluation": {"ensemble.prediction", "ensemble.training", "ensemble.serve"},
    "ensemble.training": {"ensemble.prediction", "ensemble.report", "ensemble.serve"},
    "ensemble.report": {"ensemble.prediction", "ensemble.evaluation", "ensemble.training", "ensemble.serve"},
    "ensemble.serve": {"ensemble.training", "ensemble.evaluation", "ensemble.report"},
    "experts.qwen2vl.inputs": {"experts.qwen2vl.model", "experts.qwen2vl.training", "experts.qwen2vl.adapters"},
    "experts.qwen2vl.model": {"experts.qwen2vl.training", "experts.qwen2vl.adapters"},
}
"""For each room the rooms whose modules it never imports."""


def source_files() -> list[Path]:
    """Every code file of the packages, in order."""
    return sorted(path for package in MAY_IMPORT for path in (ROOT / package).rglob("*.py"))


def module_name(path: Path) -> str:
    """The dotted name that a file is imported by."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_name(path): path for path in source_files()}


def is_door(path: Path) -> bool:
    return '__name__ == "__main__"' in path.read_text(encoding="utf-8")


DOORS = {name for name, path in MODULES.items() if is_door(path)}


def named_modules(node: ast.AST) -> set[str]:
    """Modules of ours that an import statement names: ``from a.b import c`` is ``a.b.c`` where that is a module."""
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names} & MODULES.keys()
    if isinstance(node, ast.ImportFrom) and node.level == 0:
        inner = {f"{node.module}.{alias.name}" for alias in node.names}
        return (inner & MODULES.keys()) or ({str(node.module)} & MODULES.keys())
    return set()


def imports(path: Path, *, late: bool = True) -> set[str]:
    """Modules of ours that a file imports; without ``late`` only where it is imported itself, types left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found: set[str] = set()
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        found |= named_modules(node)
        inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        types = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if late or not (inside or types):
            todo += ast.iter_child_nodes(node)
    return found


def imported(path: Path) -> set[str]:
    """Top-level packages that a file imports anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(str(node.module).split(".")[0])
    return found


def within(module: str, room: str) -> bool:
    return module == room or module.startswith(f"{room}.")


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_flow_one_way(package: str) -> None:
    files = list((ROOT / package).rglob("*.py"))
    assert files
    for path in files:
        ours = imported(path) & MAY_IMPORT.keys()
        # The doctor reads the voters' shapes, and nothing else does from below.
        allowed = MAY_IMPORT[package] | ({"experts"} if within(module_name(path), "mire.doctor") else set())
        assert ours <= allowed, f"{path.relative_to(ROOT)} imports {ours - allowed}"


def test_the_doctor_imports_experts_late() -> None:
    for name, path in MODULES.items():
        if within(name, "mire"):
            assert not any(within(module, "experts") for module in imports(path, late=False)), name


@pytest.mark.parametrize("room", CLOSED)
def test_rooms_keep_their_walls(room: str) -> None:
    members = {name: path for name, path in MODULES.items() if within(name, room) and name not in DOORS}
    assert members
    for name, path in members.items():
        crossed = {module for module in imports(path) for wall in CLOSED[room] if within(module, wall)}
        assert not crossed, f"{name} imports {crossed}"


def test_nobody_imports_a_door() -> None:
    for name, path in MODULES.items():
        opened = imports(path) & (DOORS - {ROUTE})
        assert not opened, f"{name} imports the command {opened}"


@pytest.mark.parametrize("door", sorted(DOORS))
def test_a_door_imports_its_room_late(door: str) -> None:
    light = {"mire.cli", "mire.errors", "mire.labels", "mire.launch_options", "mire", "ensemble.serve.limits"}
    if not within(door, "router"):
        assert imports(MODULES[door], late=False) <= light
    tree = ast.parse(MODULES[door].read_text(encoding="utf-8"))
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert {"add_arguments", "execute"} <= functions or door == "ensemble.command"


def test_folders_are_small_enough_to_be_looked_at() -> None:
    folders = {path.parent for path in [*source_files(), *ROOT.glob("samples/**/*.py"), *ROOT.glob("scripts/**/*.py")]}
    for folder in folders:
        name = folder.relative_to(ROOT).as_posix()
        n_files = sum(path.name != "__init__.py" for path in folder.glob("*.py"))
        assert name in EXEMPT or n_files <= MOST_FILES.get(name, 14), f"{name} holds {n_files} files"


def test_no_import_runs_in_a_circle() -> None:
    graph = {name: imports(path, late=False) - {name} for name, path in MODULES.items()}
    left = dict(graph)
    while free := {name for name, needs in left.items() if not needs & left.keys()}:
        left = {name: needs for name, needs in left.items() if name not in free}
    assert not left, f"circles among {sorted(left)}"


def test_a_voters_name_is_spelled_in_its_stage_only() -> None:
    names = {stage.voter for stage in Settings.stages().values()}
    assert len(names) >= 4
    for name, path in MODULES.items():
        said = {node.value for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Constant)}
        assert name == "mire.settings" or not said & names, f"{name} spells {said & names}"


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
        f"    runpy.run_module('{command}', run_name='__main__', alter_sys=True)\n"
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
