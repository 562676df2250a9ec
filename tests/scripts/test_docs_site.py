"""The documentation as a site: what its links become, its navigation, and, if mkdocs is installed, the site itself."""

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from scripts.docs_site import ROOT_PAGES, site_links

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize(
    ("folder", "text", "expected"),
    [
        ("", "![a](docs/a.webp) and [b](docs/B.md#c)", "![a](a.webp) and [b](B.md#c)"),
        ("docs", "[b](B.md#c), [c](#d), [e](https://e.org/f)", "[b](B.md#c), [c](#d), [e](https://e.org/f)"),
        ("docs", "[home](../README.md#from-python)", "[home](index.md#from-python)"),
        ("docs", "[`vote.py`](../ensemble/voting/pooling.py)", "`vote.py`"),
    ],
)
def test_links_become_the_sites(folder: str, text: str, expected: str) -> None:
    assert site_links(text, folder=folder) == expected


def test_every_page_is_in_the_navigation_once() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2]
    pages = [*(path.name for path in ROOT.glob("docs/*.md")), *ROOT_PAGES.values()]
    assert sorted(re.findall(r"\S+\.md", navigation)) == sorted(pages)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("mkdocs") is None, reason="needs the extra docs")
def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "classify_many" in (tmp_path / "API" / "index.html").read_text(encoding="utf-8")
    assert "提示词" in (tmp_path / "index.zh" / "index.html").read_text(encoding="utf-8")
    assert (tmp_path / "search" / "search_index.json").stat().st_size > 100_000
