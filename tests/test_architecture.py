"""The tree is the architecture: who may import whom, and what a command may load before it is needed."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
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
TOOLS = ("scripts", "samples", "tests")
"""Folders of ours that no package imports."""

EXEMPT = {"samples/maker/screens"}
"""Drawn screens, one file each."""
MOST_FILES = {"mire": 24, "ensemble": 20}
"""Code files that a folder may hold, ``__init__`` not counted; any other holds 14."""
ROUTE = "router.route"
"""A library that also runs: the router is small enough to need no room."""
ROOMS = ("prediction", "training", "evaluation", "comparison", "report", "serve")
CLOSED = {
    "ensemble.panel": {f"ensemble.{room}" for room in ROOMS},
    "ensemble.voting": {f"ensemble.{room}" for room in (*ROOMS, "decisions")},
    "ensemble.decisions": {f"ensemble.{room}" for room in ROOMS},
    "ensemble.prediction": {f"ensemble.{room}" for room in ROOMS if room != "prediction"},
    "ensemble.evaluation": {f"ensemble.{room}" for room in ("prediction", "training", "comparison", "serve")},
    "ensemble.comparison": {"ensemble.serve"},
    "ensemble.training": {f"ensemble.{room}" for room in ("prediction", "comparison", "report", "serve")},
    "ensemble.report": {f"ensemble.{room}" for room in ROOMS if room != "report"},
    "ensemble.serve": {f"ensemble.{room}" for room in ("training", "evaluation", "comparison", "report")},
    "experts.qwen2vl.inputs": {"experts.qwen2vl.model", "experts.qwen2vl.training", "experts.qwen2vl.adapters"},
    "experts.qwen2vl.model": {"experts.qwen2vl.training", "experts.qwen2vl.adapters"},
}
"""For each room the rooms whose modules it never imports."""


def modules(*folders: str) -> dict[str, Path]:
    """The code files under some folders by the dotted name that each is imported by."""
    paths = sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}


MODULES = modules(*MAY_IMPORT)
SCRIPTS = modules("scripts", "samples")
ALL = MODULES | SCRIPTS


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def is_door(path: Path) -> bool:
    return '__name__ == "__main__"' in path.read_text(encoding="utf-8")


def names_in(tree: ast.Module) -> set[str]:
    """The names that a module defines or imports when it is imported, outside functions and classes."""
    found: set[str] = set()
    todo: list[ast.AST] = [*tree.body]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {alias.asname or alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        else:
            todo += ast.iter_child_nodes(node)
    return frozenset(found)


DOORS = {name for name, path in MODULES.items() if is_door(path)}
COMMANDS = sorted(name.removesuffix(".__main__") for name in DOORS)
SCRIPT_COMMANDS = sorted(
    name for name, path in SCRIPTS.items() if is_door(path) and "add_arguments" in names_in(tree_of(path))
)


def named_modules(node: ast.AST) -> set[str]:
    """Modules of ours that an import statement names: ``from a.b import c`` is ``a.b.c`` where that is a module."""
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names} & ALL.keys()
    if isinstance(node, ast.ImportFrom) and node.level == 0:
        inner = {f"{node.module}.{alias.name}" for alias in node.names}
        return (inner & ALL.keys()) or ({str(node.module)} & ALL.keys())
    return set()


@cache
def imports(path: Path, *, late: bool = True) -> frozenset[str]:
    """Modules of ours that a file imports; without ``late`` only when it is itself imported, types left out."""
    found: set[str] = set()
    todo: list[ast.AST] = [tree_of(path)]
    while todo:
        node = todo.pop()
        found |= named_modules(node)
        inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        types = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if late or not (inside or types):
            todo += ast.iter_child_nodes(node)
    return found


@cache
def imported(path: Path) -> frozenset[str]:
    """Top-level packages that a file imports anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.relative_to(ROOT)}, line {node.lineno}: import by the whole name"
            found.add(str(node.module).split(".")[0])
    return frozenset(found)


def within(module: str, room: str) -> bool:
    return module == room or module.startswith(f"{room}.")


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_flow_one_way(package: str) -> None:
    files = modules(package)
    assert files
    for name, path in files.items():
        ours = imported(path) & {*MAY_IMPORT, *TOOLS}
        # The doctor reads the voters' shapes, and nothing else in mire does.
        allowed = MAY_IMPORT[package] | ({"experts"} if within(name, "mire.doctor") else set())
        assert ours <= allowed, f"{path.relative_to(ROOT)} imports {ours - allowed}"


def missing_imports(path: Path) -> Iterator[str]:
    """What a file imports of ours, anywhere in it, that is not there: a module, or a name in a module."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            wanted = [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            wanted = [(str(node.module), alias.name) for alias in node.names]
        else:
            continue
        for module, name in wanted:
            if module.split(".")[0] in {*MAY_IMPORT, "scripts", "samples"} and not is_there(module, name):
                yield f"line {node.lineno}: {module} {name}".rstrip()


def is_there(module: str, name: str) -> bool:
    """Whether a module of ours exists, or a folder, and holds a name; any name where it makes them when asked."""
    if f"{module}.{name}" in ALL or (not name and module in ALL):
        return True
    if module not in ALL:
        return not name and (ROOT / module.replace(".", "/")).is_dir()
    return bool({name, "__getattr__"} & names_in(tree_of(ALL[module])))


def test_every_import_of_ours_exists() -> None:
    for path in modules(*MAY_IMPORT, *TOOLS).values():
        missing = list(missing_imports(path))
        assert not missing, f"{path.relative_to(ROOT)}: {missing}"


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
    for name, path in ALL.items():
        opened = imports(path) & (DOORS - {ROUTE})
        assert not opened, f"{name} imports the command {opened}"


@pytest.mark.parametrize("door", sorted(DOORS))
def test_a_door_imports_its_room_late(door: str) -> None:
    light = {"mire.cli", "mire.errors", "mire.labels", "mire.launch_options", "mire", "ensemble.serve.limits"}
    if not within(door, "router"):
        assert imports(MODULES[door], late=False) <= light
    assert {"add_arguments", "execute"} <= names_in(tree_of(MODULES[door])) or door == "ensemble.command"


def test_folders_are_small_enough_to_be_looked_at() -> None:
    for folder in {path.parent for path in ALL.values()}:
        name = folder.relative_to(ROOT).as_posix()
        n_files = sum(path.name != "__init__.py" for path in folder.glob("*.py"))
        assert name in EXEMPT or n_files <= MOST_FILES.get(name, 14), f"{name} holds {n_files} files"


def test_no_import_runs_in_a_circle() -> None:
    graph = {name: imports(path, late=False) - {name} for name, path in MODULES.items()}
    left = dict(graph)
    # Peel off what imports nothing that is left, and what nothing that is left imports: only circles remain.
    while free := {
        name
        for name, needs in left.items()
        if not needs & left.keys() or not any(name in others for others in left.values())
    }:
        left = {name: needs for name, needs in left.items() if name not in free}
    assert not left, f"circles among {sorted(left)}"


def test_a_voters_name_is_spelled_in_its_stage_only() -> None:
    names = {stage.voter for stage in Settings.stages().values()}
    assert len(names) >= 4
    for name, path in MODULES.items():
        said = {node.value for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Constant)}
        # A voter's own folder may use the word for something else, as pictures' way of resizing.
        foreign = {voter for voter in said & names if not within(name, f"experts.{voter}")}
        assert name == "mire.settings" or not foreign, f"{name} spells {foreign}"


def test_every_command_is_found() -> None:
    assert len(COMMANDS) >= 19
    assert {"ensemble.serve", "ensemble.rules", "experts.qwen2vl.convert", "router.calibrate"} <= set(COMMANDS)
    assert {"samples.make", "scripts.benchmarks.scoring", "scripts.benchmarks.serve"} <= set(SCRIPT_COMMANDS)


@pytest.mark.parametrize("command", [*COMMANDS, *SCRIPT_COMMANDS])
def test_help_loads_no_heavy_library(command: str) -> None:
    """What it costs depends on the machine: ``scripts/benchmarks/bars.py`` measures it."""
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
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith(f"usage: python -m {command}" if command != "ensemble.command" else "usage: mire")


def test_no_pickle_is_ever_loaded() -> None:
    for path in MODULES.values():
        assert not imported(path) & {"pickle", "joblib", "dill", "cloudpickle"}, path


def test_no_code_of_a_hub_is_ever_run() -> None:
    """What transformers loads is loaded with a no said aloud; PEFT's classes take no such argument."""
    found = 0
    for path in ALL.values():
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("from_pretrained"):
                said = {word.arg: ast.unparse(word.value) for word in node.keywords}
                found += 1
                assert said.get("trust_remote_code") == "False" or "PeftModel" in ast.unparse(node.func), path
    assert found >= 5


def test_every_exception_from_the_security_rules_says_why() -> None:
    found = 0
    for path in ALL.values():
        lines = path.read_text(encoding="utf-8").splitlines()
        for above, line in pairwise(lines):
            if re.search(r"noqa: S\d", line):
                found += 1
                assert above.strip().startswith("# ") or re.search(r"noqa: S\d", above), f"{path}: {line.strip()}"
    assert found >= 5
