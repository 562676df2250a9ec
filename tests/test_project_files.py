"""The files by which others join: they name what the project has, and the versions that it says it runs on."""

import re
from configparser import ConfigParser
from pathlib import Path

import yaml

import mire

ROOT = Path(__file__).parent.parent


def read(name: str) -> dict:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def test_the_citation_names_this_version_and_licence() -> None:
    citation = read("CITATION.cff")
    assert (citation["version"], citation["license"], citation["cff-version"]) == (
        mire.__version__,
        "Apache-2.0",
        "1.2.0",
    )


def test_public_ci_runs_our_own_on_every_python_that_is_promised() -> None:
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    promised = re.findall(r"Python :: (3\.\d+)", setup["metadata"]["classifiers"])
    jobs = read(".github/workflows/ci.yml")["jobs"]
    assert jobs["linux"]["strategy"]["matrix"]["python"] == promised == ["3.11", "3.12", "3.13"]
    assert jobs["linux"]["steps"][-1] == {"run": "bash .ci/run"}
    assert jobs["smoke"]["strategy"]["matrix"]["os"] == ["macos-latest", "windows-latest"]
    tested = next(step["run"] for step in jobs["smoke"]["steps"] if "pytest" in step.get("run", "")).split()
    assert all((ROOT / word).is_dir() for word in tested if word.startswith("tests/"))


def test_a_commit_is_checked_as_ci_checks_it() -> None:
    hooks = [hook["entry"].split(" --")[0] for hook in read(".pre-commit-config.yaml")["repos"][0]["hooks"]]
    assert hooks == ["ruff check", "ruff format", "mypy"]


def test_the_forms_are_valid() -> None:
    for name in ("bug", "idea"):
        form = read(f".github/ISSUE_TEMPLATE/{name}.yml")
        assert form["name"] and form["description"] and all(part["attributes"]["label"] for part in form["body"])
