"""Hooks of mkdocs: pages from the repository's root join those of docs/; a link to a file that is no page becomes text."""

import re
from pathlib import Path
from posixpath import join, normpath
from typing import Any

ROOT = Path(__file__).parent.parent
ROOT_PAGES = {
    "README.md": "index.md",
    "README.zh.md": "index.zh.md",
    "CHANGELOG.md": "CHANGELOG.md",
    "SECURITY.md": "SECURITY.md",
}
"""Each page's path in the repository, and in the site."""
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^):#\s]+)(#[^)\s]*)?\)")


def on_config(config: Any) -> Any:
    """Headings get the anchors that GitHub gives them, Chinese ones too."""
    from pymdownx.slugs import slugify

    config.mdx_configs["toc"] = {"slugify": slugify(case="lower"), "permalink": True}
    return config


def on_files(files: Any, config: Any) -> Any:
    from mkdocs.structure.files import File

    for source, page in ROOT_PAGES.items():
        text = site_links((ROOT / source).read_text(encoding="utf-8"), folder="")
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **others: Any) -> str:
    return markdown if page.file.src_uri in ROOT_PAGES.values() else site_links(markdown, folder="docs")


def site_links(markdown: str, *, folder: str) -> str:
    """A page's text with its relative links, which lead from ``folder`` of the repository, as the site needs them."""

    def replaced(link: re.Match[str]) -> str:
        bang, text, target, anchor = link.groups("")
        path = normpath(join(folder, target))
        if path in ROOT_PAGES:
            return f"{bang}[{text}]({ROOT_PAGES[path]}{anchor})"
        return f"{bang}[{text}]({path.removeprefix('docs/')}{anchor})" if path.startswith("docs/") else text

    return _LINK.sub(replaced, markdown)
