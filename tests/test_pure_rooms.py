"""Rooms that decide are pure: they use no clock, no random numbers and no I/O."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

pytestmark = pytest.mark.static

ROOT = Path(__file__).resolve().parents[1]
PURE = (
    "dispatcher/console/charts",
    "dispatcher/planning",
    "sidelight/attack_paths.py",
    "sidelight/completeness.py",
    "sidelight/findings",
    "sidelight/inspector_comparison",
    "sidelight/inventory/listeners",
    "sidelight/matching",
    "sidelight/model",
    "sidelight/reachability",
    "sidelight/remediation",
    "sidelight/suppression.py",
    "sidelight/versions",
    "sidelight/vex",
)
FORBIDDEN = frozenset(
    """
    asyncio glob http io logging multiprocessing os pathlib random secrets select shutil signal
    socket ssl subprocess sys tempfile threading time urllib
    boto3 botocore celery click redis requests sqlalchemy urllib3
    """.split()  # noqa: SIM905 - easier to read
)
CALLS = frozenset({"now", "today", "utcnow"})  # of datetime and date
BUILTINS = frozenset({"open", "input", "print", "exec", "eval", "breakpoint"})
# Files of these rooms that are read or written: not a part of what decides.
NOT_PURE = (
    "dispatcher/planning/decision_document.py",  # writes the document of the decision table
    "sidelight/reachability/answers/dump",  # saved answers of AWS, read and written
)
# What else is needed, and why.
ALLOWED = {
    ("sidelight/model/scans.py", "uuid4"),
}


def impure(path: Path) -> list[str]:
    """Return what a module imports or calls that is not pure, with its line."""
    name = str(path.relative_to(ROOT))
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            used = [alias.name.partition(".")[0] for alias in node.names]
            found += [f"{name}:{node.lineno} {word}" for word in used if word in FORBIDDEN]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            word = (node.module or "").partition(".")[0]
            if word in FORBIDDEN and node.module != "urllib.parse":
                found.append(f"{name}:{node.lineno} {word}")
        elif isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Name) and called.id in BUILTINS:
                found.append(f"{name}:{node.lineno} {called.id}()")
            elif isinstance(called, ast.Attribute) and (
                (called.attr in CALLS or called.attr.startswith("uuid"))
                and (name, called.attr) not in ALLOWED
            ):
                found.append(f"{name}:{node.lineno} .{called.attr}()")
    return found


@pytest.mark.parametrize("room", PURE)
def test_a_pure_room_uses_no_clock_no_random_numbers_and_no_io(room: str) -> None:
    place = ROOT / room
    modules = sorted(place.rglob("*.py")) if place.is_dir() else [place]
    modules = [m for m in modules if not str(m.relative_to(ROOT)).startswith(NOT_PURE)]
    assert modules
    assert [line for module in modules for line in impure(module)] == []


def test_a_module_that_says_it_is_pure_uses_no_clock_no_random_numbers_and_no_io() -> None:
    modules = [
        path
        for package in ("sidelight", "workers", "dispatcher")
        for path in sorted((ROOT / package).rglob("*.py"))
        if "PURE." in (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "")
        and not str(path.relative_to(ROOT)).startswith(NOT_PURE)
    ]
    assert len(modules) > 10
    assert [line for module in modules for line in impure(module)] == []


def test_a_clock_and_an_open_file_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "room.py"
    module.write_text("import time\nfrom os import path\nx = open('y')\nz = datetime.now()\n")
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    assert impure(module) == [
        "room.py:1 time", "room.py:2 os", "room.py:3 open()", "room.py:4 .now()",
    ]  # fmt: skip
