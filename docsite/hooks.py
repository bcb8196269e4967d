"""Hooks of MkDocs: what the documents link to in the repository becomes a part of the site.

The repository's own documents (README.md, ARCHITECTURE.md) are pages under `project/`. Any other
linked file is copied under `repository/`. The decisions are added to the navigation.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).resolve().parents[1]
DOCS: Final = "docs"
PROJECT, REPOSITORY = "project", "repository"
_CODE: Final = re.compile(r"(```.*?```|`[^`\n]*`)", re.DOTALL)
_LINK: Final = re.compile(r"\[([^\]]*)\]\(([^)\s#]+)(#[^)\s]*)?\)")
_TITLE: Final = re.compile(r"^# (.+)$", re.MULTILINE)


def links(markdown: str) -> Iterator[str]:
    """Yield the paths that a document links to, outside of code."""
    for part in _CODE.split(markdown)[::2]:
        for match in _LINK.finditer(part):
            if "://" not in match[2] and not match[2].startswith("mailto:"):
                yield match[2]


def repository_path(document: str, link: str) -> str:
    """Return the path in the repository of a link of a document, both as `docs/cli.md`.

    A link to a folder leads to the folder's first document.
    """
    path = os.path.normpath(PurePosixPath(document).parent / link)
    if (ROOT / path).is_dir():
        return f"{path}/{min(file.name for file in (ROOT / path).glob('*.md'))}"
    return path


def site_path(path: str) -> str:
    """Return the path in the site's sources of a file of the repository."""
    if path.startswith(f"{DOCS}/"):
        return path.removeprefix(f"{DOCS}/")
    if "/" not in path and path.endswith(".md"):
        return f"{PROJECT}/{path}"
    # Markdown there is a file, and not a page.
    return f"{REPOSITORY}/{path}{'.txt' if path.endswith('.md') else ''}"


def rewritten(markdown: str, document: str) -> str:
    """Return a document whose links lead to where their files are in the site.

    A link whose text is the name of another document gets that document's title.
    """
    here = PurePosixPath(site_path(document)).parent

    def link(match: re.Match[str]) -> str:
        if "://" in match[2] or match[2].startswith("mailto:"):
            return match[0]
        path = repository_path(document, match[2])
        text = match[1]
        if text == match[2] and path.endswith(".md"):
            text = title(path) or text
        return f"[{text}]({os.path.relpath(site_path(path), here)}{match[3] or ''})"

    parts = _CODE.split(markdown)
    parts[::2] = [_LINK.sub(link, part) for part in parts[::2]]
    return "".join(parts)


def title(path: str) -> str:
    """Return a document's first heading; empty without one."""
    found = _TITLE.search((ROOT / path).read_text("utf-8"))
    return found[1] if found else ""


def outside_files() -> set[str]:
    """Return the files of the repository outside of docs/ that the site needs."""
    own = {path.name for path in ROOT.glob("*.md")}
    documents = {f"{DOCS}/{path.relative_to(ROOT / DOCS)}" for path in (ROOT / DOCS).rglob("*.md")}
    needed = set(own)
    for document in own | documents:
        for link in links((ROOT / document).read_text("utf-8")):
            path = repository_path(document, link)
            if not path.startswith(f"{DOCS}/"):
                needed.add(path)
    return needed


def on_config(config: Any) -> Any:
    """Add the decisions to the navigation, and anchors as other renderers of Markdown have them."""
    numbered = sorted((ROOT / DOCS / "decisions").glob("*.md"))
    pages: list[str] = [f"decisions/{path.name}" for path in numbered]
    (explanation,) = (entry["Explanation"] for entry in config["nav"] if "Explanation" in entry)
    explanation.append({"Decisions": pages})
    config["mdx_configs"].setdefault("toc", {})["slugify"] = slug
    return config


def slug(text: str, separator: str) -> str:
    """Return a heading's anchor, as tests/docs/test_links.py and code hosts have it."""
    return re.sub(r"[^\w\- ]", "", text.lower()).strip().replace(" ", separator)


def on_files(files: Any, config: Any) -> Any:
    """Add the repository's files that documents link to."""
    from mkdocs.structure.files import File

    for path in sorted(outside_files()):
        file = ROOT / path
        content: str | bytes = file.read_bytes()
        if site_path(path).startswith(f"{PROJECT}/"):
            content = rewritten(file.read_text("utf-8"), path)
        files.append(File.generated(config, site_path(path), content=content))
    return files


def on_page_markdown(markdown: str, page: Any, **_: object) -> str:
    """Lead links of docs/ to where their files are."""
    uri: str = page.file.src_uri
    return markdown if uri.startswith(f"{PROJECT}/") else rewritten(markdown, f"{DOCS}/{uri}")
