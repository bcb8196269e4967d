"""The documents: every link within the repository leads somewhere, and the index lists each."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*)", re.MULTILINE)


def links(document: Path) -> list[str]:
    """A document's links within the repository: paths, with or without an anchor."""
    found = LINK.findall(re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL))
    return [link for link in found if "://" not in link and not link.startswith("mailto:")]


def anchors(document: Path) -> set[str]:
    """A document's headings as the anchors that Markdown's renderers make of them."""
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in HEADING.findall(document.read_text())
    }


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_of_a_document_leads_somewhere(document: Path) -> None:
    for link in links(document):
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), f"{document.name}: {link}"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{document.name}: {link}"


def test_the_index_lists_every_document() -> None:
    index = DOCS / "README.md"
    listed = {(DOCS / link).resolve() for link in links(index)}
    assert {path for path in DOCS.rglob("*.md") if path != index} <= listed
