"""Every test that a document names as its proof exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.static

ROOT = Path(__file__).parents[1]
_NAMED = re.compile(r"`(?:tests/)?([\w/]+\.py)::(test_\w+)`")
_FILE = re.compile(r"`(tests/[\w/]+\.py)`")
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
ANSWERS = ROOT / "docs" / "aws-answers.md"


def named(page: Path) -> set[tuple[str, str]]:
    """File below tests/ and name of each test that a page names."""
    return set(_NAMED.findall(page.read_text("utf-8")))


def names_in(file: str) -> set[str]:
    """The names of the tests of a file below tests/; without a folder, in any one."""
    paths = [ROOT / "tests" / file] if "/" in file else (ROOT / "tests").rglob(file)
    return {
        node.name
        for path in paths
        if path.is_file()
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef)
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_named_test_exists(page: Path) -> None:
    missing = [
        f"{file}::{name}" for file, name in sorted(named(page)) if name not in names_in(file)
    ]
    missing += [
        file
        for file in sorted(set(_FILE.findall(page.read_text("utf-8"))))
        if not (ROOT / file).is_file()
    ]
    assert missing == []


def test_each_numbered_answer_of_aws_names_a_test() -> None:
    rows = re.findall(r"^\| (\d+) \|(.*)$", ANSWERS.read_text("utf-8"), re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 33))
    assert [number for number, row in rows if not _NAMED.search(row)] == []
