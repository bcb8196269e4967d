"""The layout's rules that no import contract can hold."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

pytestmark = pytest.mark.static

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("sidelight", "workers", "dispatcher")


def test_a_class_name_occurs_once_in_the_tree() -> None:
    places = defaultdict(list)
    for package in (*PACKAGES, "benchmarks", "demo"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.ClassDef):
                    places[node.name].append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


LINES_OF_A_MODULE = 400
LINES_OF_A_FUNCTION = 60


def test_modules_and_functions_are_short() -> None:
    """Migrations are left out: each lists what it changes, and is never changed again."""
    long = []
    for package in (*PACKAGES, "benchmarks", "demo"):
        for path in (ROOT / package).rglob("*.py"):
            if "migrations" in path.parts:
                continue
            text, name = path.read_text("utf-8"), path.relative_to(ROOT)
            if text.count("\n") > LINES_OF_A_MODULE:
                long.append(str(name))
            long += [
                f"{name}:{node.name}"
                for node in ast.walk(ast.parse(text))
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
                and (node.end_lineno or 0) - node.lineno >= LINES_OF_A_FUNCTION
            ]
    assert long == []


def test_modules_of_tests_are_short() -> None:
    long = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "tests").rglob("*.py")
        if path.read_text("utf-8").count("\n") > LINES_OF_A_MODULE
    ]
    assert long == []


# Folders of tests that belong to no package: families of tests, and what tests are made of.
FAMILIES = {
    "benchmarks", "ci", "demo", "deploy", "docs", "end_to_end", "fakes", "faults", "fixtures",
    "fuzz", "images", "torture", "worker_programs",
}  # fmt: skip


def _imports(path: Path) -> set[str]:
    """Every dotted name that a module imports, or names in a text (`python -m …`)."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
        elif isinstance(node, ast.Import):
            names |= {name.name for name in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names |= set(re.findall(r"tests(?:\.\w+)+", node.value))
    return names


def test_no_module_imports_from_a_test_module_or_a_conftest() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {name}"
        for folder in ("tests", "benchmarks", "fuzz", "demo")
        for path in (ROOT / folder).rglob("*.py")
        for name in sorted(_imports(path))
        if re.match(r"tests\.(.*\.)?(test_\w+|conftest)(\.|\Z)", name)
    ]
    assert found == []


def test_a_folder_of_tests_has_the_name_of_the_package_that_it_tests() -> None:
    tests = ROOT / "tests"
    listed = {path.parent.relative_to(tests) for path in tests.rglob("test_*.py")}
    own = {path for path in listed if path.parts and path.parts[0] not in FAMILIES}
    packages = [ROOT / "sidelight", ROOT]
    assert [str(path) for path in own if not any((at / path).is_dir() for at in packages)] == []
