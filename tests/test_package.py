"""The built package: an sdist, the wheel built from it, and the commands where nothing else of the project is."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("mire", "router", "experts", "ensemble")
FILES = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE")
pytestmark = pytest.mark.slow


def run(*words: str, cwd: Path, **environment: str) -> str:
    done = subprocess.run(words, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the sdist, which is built from a copy: setuptools writes beside what it builds."""
    folder = tmp_path_factory.mktemp("package")
    source = folder / "source"
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(ROOT / name, source / name)
    run(sys.executable, "-c", "from setuptools.build_meta import build_sdist; build_sdist('..')", cwd=source)
    (packed,) = folder.glob("*.tar.gz")
    with tarfile.open(packed) as sdist:
        assert {f"{packed.name[:-7]}/{name}" for name in FILES} <= set(sdist.getnames())
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    run(*pip, "wheel", "--quiet", "--no-deps", "--no-build-isolation", str(packed), cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


def test_every_file_of_the_packages_is_in_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as packed:
        names = {name for name in packed.namelist() if ".dist-info/" not in name}
    files = {path for name in PACKAGES for path in (ROOT / name).rglob("*") if path.is_file()}
    expected = {path.relative_to(ROOT).as_posix() for path in files if "__pycache__" not in path.parts}
    assert sorted(expected - names) == [] and sorted(names - expected) == []
    kinds = {Path(name).suffix for name in names}
    assert {".py", ".json", ".yaml", ".html", ".css", ".safetensors"} <= kinds and "mire/py.typed" in names


def test_commands_run_from_another_folder(wheel: Path, tmp_path: Path) -> None:
    target, elsewhere = tmp_path / "target", tmp_path / "elsewhere"
    elsewhere.mkdir()
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    run(*pip, "install", "--quiet", "--no-deps", "--target", str(target), str(wheel), cwd=elsewhere)

    def python(*words: str) -> str:
        return run(sys.executable, "-P", *words, cwd=elsewhere, PYTHONPATH=str(target))

    assert Path(python("-c", "import mire; print(mire.__file__)").strip()).is_relative_to(target)
    assert python("-m", "ensemble.command", "--version") == "mire 0.1.0\n"
    assert "usage: " in python("-m", "ensemble.command", "rules", "--help")
    assert '"task": "image"' in python("-m", "router.route", "--prompt", "这是一张店铺截图，属于哪个类别")
    loads = "from mire.settings import load_settings; print(load_settings('cpu').name, load_settings('nano').name)"
    assert python("-c", loads) == "cpu nano\n"
    assert (target / "bin" / "mire").is_file()
