"""No regular expression of the product can be made to cost more than its input is long."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import sidelight
from tests.regular_expressions import fault, has_possessive_group

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.static

_ROOT = Path(sidelight.__file__).parent
_SEARCHES = frozenset(("search", "findall", "finditer", "sub", "subn", "split"))
_CALLS = _SEARCHES | {"compile", "match", "fullmatch"}
_LOCAL = "localcloud"  # the pretended cloud of tests and demos reads what its own users write

# Module and pattern's beginning -> why it is linear all the same, or how long its input can be.
_BOUNDED = {
    (
        "advisories.feeds.whole_documents",
        "(.+:.+)_",
    ): "a part has one colon and NAME_LIMIT characters",
    ("aws.environment_errors", "://["): "an address in the user's own configuration",
    ("fleet.settings.validation", "(?<=://)"): "an address in the user's own configuration",
    (
        "filesystems.machine.subvolumes",
        "(?:.*/)?",
    ): "the names above a subvolume, of 255 bytes each",
    ("inventory.language.condalock", ".*?/"): "ADDRESS_LIMIT characters",
    ("inventory.language.condalock", "(?:.*[-_.])?"): "a file's name has 255 bytes",
    ("inventory.language.javanames", "-(?:"): "a file's name has 255 bytes",
    ("inventory.language.javanames", "(.+)"): "a file's name has 255 bytes",
    ("inventory.language.mixlock", r'\{<<"'): "each part of an entry that fails was read once",
    ("inventory.language.npmorigin", "https?"): "ADDRESS_LIMIT characters",
    ("inventory.language.npmorigin", "[^?#]*-"): "ADDRESS_LIMIT characters",
    ("inventory.language.origin", "(?<=//)"): "ADDRESS_LIMIT characters",
    ("inventory.language.packageresolved", "(?:[a-z+]"): "ADDRESS_LIMIT characters",
    ("vendors", "([^<]*)<"): "VENDOR_LIMIT characters",
    ("vendors", r"(?:[\w.-]*"): "VENDOR_LIMIT characters",
    ("vendors", r"\s*[<("): "VENDOR_LIMIT characters",
    ("aws.probe.anonymous", r"(?<![\w.+-])"): "only the start of a word begins a match",
    ("advisories.feeds.formats.errata", r"(?<![\w.+-])"): "only the start of a word begins a match",
    ("advisories.feeds.formats.osv", r"(?<![\w.+-])"): "likewise",
    ("advisories.feeds.formats.ubuntu_oval", r"'([^']+)' package"): "likewise",
    ("download.resolvers", "repodata/"): "1024 characters",
    ("inventory.language.bunlock", '("[^"'): "each alternative that fails has read its text once",
    ("inventory.language.gobinary", "build"): "FLAGS_LIMIT characters",
    ("inventory.language.installed", "(?:^|/)"): "a path's parts have 255 bytes",
    ("inventory.language.javaarchive", "(.+?)-("): "512 characters",
    ("inventory.language.nodemodules", "(?:.*/)?([^/]+)[-@]"): "a path's parts have 255 bytes",
    ("inventory.language.version_strings", "([0-9]{1,4}"): "no repetition is endless",
    ("inventory.language.yarnlock", '"(?:'): "every text that begins a token is one",
    ("inventory.os.dpkg", r"\n[ "): "a second line's end is always the match's end",
    ("inventory.os.flatpak", "(?:.*/)?flatpak/"): "1024 characters",
    ("inventory.os.portage", "(?:obj /"): "2 * MAX_PATH characters without a line's end",
    ("inventory.os_release", r"\d+(?:"): "the first digit is a match",
    ("versions.composer", "[vV]?(("): "VERSION_LIMIT characters",
    ("versions.npm_range", r"[v=\s]*"): "VERSION_LIMIT characters",
    ("versions.semver", r"[v=V\s]*"): "VERSION_LIMIT characters",
}


def _modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(_ROOT.rglob("*.py")):
        name = ".".join(path.relative_to(_ROOT).with_suffix("").parts)
        if not name.startswith(_LOCAL):
            yield name, ast.parse(path.read_text("utf-8"))


def _flags(nodes: list[ast.expr]) -> int:
    value = 0
    for node in nodes:
        for part in ast.walk(node):
            if isinstance(part, ast.Attribute) and part.attr.isupper():
                value |= int(getattr(re, part.attr, 0))
    return value


def _written(tree: ast.Module) -> Iterator[tuple[str | bytes, int, bool]]:
    """The expressions that are in a module as text: (pattern, flags, whether it is searched)."""
    searched = {
        node.value.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.attr in _SEARCHES
    }
    names: dict[int, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            names[id(node.value)] = node.targets[0].id
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names[id(node.value)] = node.target.id
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        called, function = node.func.value, node.func.attr
        if not (isinstance(called, ast.Name) and called.id == "re" and function in _CALLS):
            continue
        pattern = node.args[0]
        if isinstance(pattern, ast.Constant) and isinstance(pattern.value, str | bytes):
            flags = _flags([*node.args[1:], *(item.value for item in node.keywords)])
            is_searched = function in _SEARCHES or names.get(id(node)) in searched
            yield pattern.value, flags, is_searched


def _compiled(value: Any) -> Iterator[re.Pattern[Any]]:
    """The compiled expressions within a module's value, also those made of several texts."""
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(getattr(value, "__self__", None), re.Pattern):
        yield value.__self__
    elif isinstance(value, tuple | list | frozenset):
        for item in value:
            yield from _compiled(item)


def _all() -> dict[tuple[str, str | bytes, int], bool]:
    found: dict[tuple[str, str | bytes, int], bool] = {}
    for name, tree in _modules():
        for pattern, flags, is_searched in _written(tree):
            found[name, pattern, flags] = found.get((name, pattern, flags), False) or is_searched
        if name.startswith("inventory"):
            module = importlib.import_module(f"sidelight.{name}")
            known = {pattern for owner, pattern, _ in found if owner == name}
            for value in vars(module).values():
                for regex in _compiled(value):
                    if regex.pattern not in known:
                        flags = regex.flags & ~int(re.UNICODE)
                        # Made of several texts: bytes are searched in programs, names matched.
                        is_searched = isinstance(regex.pattern, bytes) or name.endswith("gemspec")
                        found.setdefault((name, regex.pattern, flags), is_searched)
    return found


def _is_bounded(module: str, pattern: str | bytes) -> bool:
    text = pattern if isinstance(pattern, str) else pattern.decode("latin-1")
    return any(module == owner and text.startswith(begin) for owner, begin in _BOUNDED)


def test_no_expression_backtracks_more_than_its_input_is_long() -> None:
    expressions = _all()
    assert len(expressions) > 150
    faults = {
        (module, pattern): found
        for (module, pattern, flags), is_searched in expressions.items()
        if (found := fault(pattern, flags, search=is_searched))
    }
    assert [where for where, found in faults.items() if found == "exponential"] == []
    assert [where for where in faults if not _is_bounded(*where)] == []


def test_no_group_is_repeated_possessively() -> None:
    # Before 3.11.5 CPython goes on behind what a failed repetition of such a group has read.
    found = {module for module, pattern, flags in _all() if has_possessive_group(pattern, flags)}
    # Strings, which else cost memory for each character: a repetition that has begun fails at a
    # backslash at the end of the text, or of the line, alone.
    assert found == {"disk.lvm.text", "inventory.language.bunlock", "inventory.language.yarnlock"}


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (r"v(?:\.[0-9]++)?+", True),
        ("(?>ab|a)c", True),
        ("((?:ab)*+|c)", True),
        (r"\s*+[0-9]++(?:\.[0-9]++)*", False),
        ("[a-z]?+=?+.*+", False),
    ],
)
def test_possessive_groups_and_classes_are_distinguished(pattern: str, expected: bool) -> None:
    assert has_possessive_group(pattern) is expected


@pytest.mark.parametrize(
    ("pattern", "search", "expected"),
    [
        ("(a+)+b", False, "exponential"),
        ("(a|ab|b)*c", False, "exponential"),
        ("a*a*b", False, "polynomial"),
        (r"\s*x?\s*y", False, "polynomial"),
        (r"\s*+x?\s*+y", False, ""),
        ("(.*)a(.*)b", False, "polynomial"),
        ("a+b", True, "polynomial"),
        ("a+", True, ""),
        ("(?m)^a+b", True, ""),
        (r"\d+(?:\.\d+)*", False, ""),
        ("([^:]*):(.*)", False, ""),
        ("([^:]*+):(.*)", False, ""),
        ("(?:ab)*c", False, ""),
        ("a{0,9}a{0,9}b", False, ""),
        (b"linux-(?:[a-z0-9.-]*?-)?(?:objects-[a-z0-9-]+?)-([0-9]+)", False, "polynomial"),
    ],
)
def test_each_pattern_has_its_verdict(pattern: str | bytes, search: bool, expected: str) -> None:
    assert fault(pattern, search=search) == expected
