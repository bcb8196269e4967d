"""bun.lock, Bun's text lock file: JSON with comments and trailing commas.

Source: the lockfile page of Bun's documentation. The older bun.lockb is binary and not read.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from sidelight.inventory.language.dependencygraph import reachable
from sidelight.inventory.language.entry import Details, Entry, npm
from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.installed import is_project
from sidelight.inventory.language.packagejson import asked_by
from sidelight.inventory.language.structured import mapping, parse_json, text
from sidelight.inventory.protocol import WantedFile, Wants
from sidelight.model import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

# A string stays as it is (an unfinished one to the end); comments and trailing commas go.
_RELAXED: Final = re.compile(
    rb'("[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z))|//[^\n]*|/\*.*?(?:\*/|\Z)|,(?=\s*+[}\]])', re.DOTALL
)
NESTING_LIMIT: Final = 64  # levels of a key
_LOCAL: Final = ("file:", "link:", "workspace:", "root:")


def _parse(file: WantedFile) -> Iterator[Entry]:
    strict = _RELAXED.sub(lambda match: match[1] or b"", file.read())
    data = mapping(parse_json(strict), "the lock file")
    packages = mapping(data.get("packages"), "packages")
    run: set[str] = set()
    develop: set[str] = set()
    for workspace in mapping(data.get("workspaces"), "workspaces").values():
        asked = asked_by(mapping(workspace, "a workspace"))
        run.update(asked.run)
        develop.update(asked.develop)
    shipped = reachable(run, lambda key: _needs(packages, key))
    for key, value in packages.items():
        located = text(value[0]) if isinstance(value, list) and value else ""
        name, at, version = located[1:].partition("@")
        name = located[:1] + name
        if not at:
            yield Problem("/" + file.path, f"package {key[:80]!r} says not what it is")
        elif not version.startswith(_LOCAL):
            # What comes from git has its commit for a version.
            version = version.rpartition("#")[2] if ":" in version else version
            details = Details("", key in run or key in develop, key not in shipped)
            yield npm(file.path, name, version, details)


def _needs(packages: dict[str, Any], key: str) -> Iterator[str]:
    value = packages.get(key)
    for part in value if isinstance(value, list) else ():
        if isinstance(part, dict):
            for name in asked_by(part).run:
                yield _nearest(packages, key, name)


def _nearest(packages: dict[str, Any], key: str, name: str) -> str:
    """The key that `name` means within `key`: as in nested node_modules, the innermost one."""
    above = key
    for _ in range(NESTING_LIMIT):
        if not above:
            break
        if f"{above}/{name}" in packages:
            return f"{above}/{name}"
        above = above.rpartition("/")[0]
    return name


EXTRACTOR: Final = GeneratorExtractor(
    "language/bun-lock",
    Wants(names=frozenset({"bun.lock"}), confirm=is_project, limit=32 << 20),
    _parse,
)
