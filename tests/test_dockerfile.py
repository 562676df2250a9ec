"""The Dockerfile's lines, without Docker: they are docs/SERVING.md's, and leave nothing to root."""

import argparse
import json
import re
import shlex
from pathlib import Path

import pytest

from ensemble.serve import __main__ as serve
from mire.cli import run

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "SERVING.md").read_text(encoding="utf-8")
LINES = [
    tuple(line.split(" ", 1))
    for line in (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    if line and not line.startswith("#")
]


def said(instruction: str) -> list[str]:
    return [rest for name, rest in LINES if name == instruction]


def test_it_installs_and_serves_as_the_page_says(monkeypatch: pytest.MonkeyPatch) -> None:
    install = next(line for line in PAGE.splitlines() if line.startswith("pip install"))
    assert f"{install} --no-cache-dir" in said("RUN")
    mire, door, *words = json.loads(said("ENTRYPOINT")[0])
    assert (mire, door) == ("mire", "serve")
    seen: list[argparse.Namespace] = []
    monkeypatch.setattr(serve, "execute", seen.append)
    assert run(serve, words) == 0
    assert (seen[0].panel, seen[0].host, [str(seen[0].port)]) == (Path("/panel"), "0.0.0.0", said("EXPOSE"))


def test_all_that_is_installed_is_copied_and_reaches_docker() -> None:
    copied = [word for line in said("COPY") for word in line.split()[:-1]]
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[0] == "!"]
    assert sorted(copied) == sorted(kept)
    assert {"mire", "router", "experts", "ensemble", "setup.cfg", "constraints.txt"} <= set(copied)
    assert all((ROOT / name).exists() for name in copied)


def test_it_is_not_root_and_is_asked_for_its_health() -> None:
    user = said("USER")[-1]
    assert user != "root" and any(line.startswith("useradd") and line.endswith(f" {user}") for line in said("RUN"))
    assert [name for name, _ in LINES].index("USER") > max(n for n, (name, _) in enumerate(LINES) if name == "RUN")
    assert "http://127.0.0.1:7860/healthz" in said("HEALTHCHECK")[0]


def test_what_it_writes_goes_to_the_tmpfs_of_the_documented_command() -> None:
    start = re.search(r"^docker run (?:.*\\\n)*.*$", PAGE, flags=re.M)
    assert start
    words = shlex.split(start[0].replace("\\\n", " "))
    assert {"--read-only", "127.0.0.1:7860:7860", "$PWD/runs/cpu:/panel:ro"} <= set(words)
    assert words[words.index("--tmpfs") + 1].split(":")[0] == "/tmp"
    folders = dict(pair.split("=") for pair in said("ENV")[0].split())
    assert folders.pop("PYTHONDONTWRITEBYTECODE") == "1"
    assert set(folders) == {"HOME", "MIRE_CACHE", "MPLCONFIGDIR"}
    assert all(folder.split("/")[1] == "tmp" for folder in folders.values())
