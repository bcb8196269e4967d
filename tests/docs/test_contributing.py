"""The worked examples of CONTRIBUTING.md are the code's, and what it names exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from sidelight.advisories.feeds.read import OBJECTS
from sidelight.download.sources import SOURCES
from sidelight.inventory.language import condameta
from sidelight.inventory.language.extractors import LANGUAGE_EXTRACTORS

pytestmark = pytest.mark.static

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
SECTIONS = {
    section.partition("\n")[0]: section
    for section in re.split(r"^## ", PAGE, flags=re.MULTILINE)
    if section.startswith("Add a")
}
_PATH = re.compile(r"`([\w./-]+/[\w./-]+?)`")
_NAME = re.compile(r"`([A-Za-z_]\w{3,})(?:\([^`]*\))?`")
EXAMPLES = {
    "Add an extractor": "sidelight/inventory/language/condameta.py",
    "Add a feed": "sidelight/download/sources.py",
    "Add a command": "dispatcher/cli/advisories/commands.py",
}


def paths_of(section: str) -> list[Path]:
    return [ROOT / name for name in _PATH.findall(section)]


def test_there_is_a_section_for_each_kind_of_addition() -> None:
    kinds = ["an extractor", "a feed", "a filesystem", "a finding type", "a command"]
    assert list(SECTIONS) == [f"Add {kind}" for kind in kinds]


@pytest.mark.parametrize("title", SECTIONS)
def test_each_file_that_a_section_names_exists(title: str) -> None:
    assert [str(path) for path in paths_of(SECTIONS[title]) if not path.exists()] == []


@pytest.mark.parametrize("title", SECTIONS)
def test_each_name_in_a_section_is_in_a_file_that_it_names(title: str) -> None:
    texts = [
        file.read_text("utf-8")
        for path in paths_of(SECTIONS[title])
        for file in (path.glob("*.py") if path.is_dir() else [path])
    ]
    known = set(re.findall(r"\w+", "\n".join(texts)))
    assert sorted(set(_NAME.findall(SECTIONS[title])) - known) == []


@pytest.mark.parametrize(("title", "file"), EXAMPLES.items())
def test_the_lines_of_an_example_are_those_of_its_module(title: str, file: str) -> None:
    block = re.search(r"```(?:python)?\n(.*?)```", SECTIONS[title], re.DOTALL)
    assert block is not None
    lines = [line.strip() for line in block[1].splitlines() if line.strip(" .")]
    code = re.sub(r"\s+", "", (ROOT / file).read_text("utf-8"))
    parts = [part for line in lines for part in line.split("...") if part.strip(" ,()")]
    assert [part for part in parts if re.sub(r"\s+", "", part) not in code] == []


def test_the_tests_that_examples_name_exist_in_a_file_that_their_section_names() -> None:
    missing = []
    for section in SECTIONS.values():
        files = [path for path in paths_of(section) if path.name.startswith("test_")]
        tests = {
            node.name
            for file in files
            for node in ast.parse(file.read_text("utf-8")).body
            if isinstance(node, ast.FunctionDef)
        }
        missing += [name for name in re.findall(r"`(test_\w+)`", section) if name not in tests]
    assert missing == []


def test_the_examples_are_registered_as_the_page_says() -> None:
    assert condameta.EXTRACTOR in LANGUAGE_EXTRACTORS
    assert "KEV" in [form.name for form in OBJECTS]
    assert "kev" in [source.name for source in SOURCES]
