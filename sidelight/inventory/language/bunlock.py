"""bun.lock, Bun's text lock file: JSON with comments and trailing commas.

Source: the lockfile page of Bun's documentation. The older bun.lockb is binary and not read.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sidelight.inventory.language.dependencygraph import reachable
from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.installed import is_project
from sidelight.inventory.language.npmorigin import (
    LockfileOrigins,
    from_registry,
    is_archive_file,
    version_in,
)
from sidelight.inventory.language.package_builder import (
    Entry,
    PackageDetails,
    RelatedEntry,
    npm,
    related,
)
from sidelight.inventory.language.packagejson import requested_by
from sidelight.inventory.language.public_registries import NPM_DEFAULT
from sidelight.inventory.language.safe_parsers import mapping, parse_json
from sidelight.inventory.protocol import WantedFile, Wants
from sidelight.json_texts import text
from sidelight.model import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.inventory.language.origin import Drawn

# A string stays as it is (an unfinished one to the end); comments and trailing commas go.
_RELAXED: Final = re.compile(
    rb'("[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z))|//[^\n]*|/\*.*?(?:\*/|\Z)|,(?=\s*+[}\]])', re.DOTALL
)
NESTING_LIMIT: Final = 64  # levels of a key
KEY_LIMIT: Final = 8192  # characters of a key that others are looked up within
_OWN: Final = ("dependencies", "optionalDependencies")
_LOCAL: Final = ("file:", "link:", "workspace:", "root:")


def _parse(file: WantedFile) -> Iterator[Entry | RelatedEntry]:
    strict = _RELAXED.sub(lambda match: match[1] or b"", file.read())
    data = mapping(parse_json(strict), "the lock file")
    packages = mapping(data.get("packages"), "packages")
    run: set[str] = set()
    develop: set[str] = set()
    for workspace in mapping(data.get("workspaces"), "workspaces").values():
        requested = requested_by(mapping(workspace, "a workspace"))
        run.update(requested.run)
        develop.update(requested.develop)
    shipped = reachable(run, lambda key: _needs(packages, key))
    origins = LockfileOrigins(_drawn(packages))
    for key, value in packages.items():
        parts = [text(part) for part in value[:2]] if isinstance(value, list) else []
        located = parts[0] if parts else ""
        name, at, version = located[1:].partition("@")
        name = located[:1] + name
        if not at:
            yield Problem("/" + file.path, f"package {key[:80]!r} says not what it is")
            continue
        if version.startswith(_LOCAL) and not is_archive_file(version):
            continue
        url = version if ":" in version else (parts[1] if len(parts) > 1 else "")
        if ":" in version:  # what comes from git has its commit for a version
            version = version.partition("#")[2] or version_in(version)
        if version:
            source = origins.of(url)
            details = PackageDetails(
                "", key in run or key in develop, key not in shipped, origin=source
            )
            requires = _needs(packages, key, peers=False)
            yield related(npm(file.path, name, version, details), (key,), requires)


def _drawn(packages: dict[str, object]) -> Iterator[Drawn]:
    """An entry's second part is its registry, empty for the default one."""
    for key, value in packages.items():
        parts = value if isinstance(value, list) else []
        url = text(parts[1]) if len(parts) > 1 and isinstance(parts[1], str) else ""
        needs = [
            name for part in parts if isinstance(part, dict) for name in requested_by(part).run
        ]
        yield from_registry(key.rpartition("/")[2], url or NPM_DEFAULT, needs)


def _needs(packages: dict[str, object], key: str, *, peers: bool = True) -> Iterator[str]:
    """Yield the keys of what a package needs. Its peers are not its own."""
    value = packages.get(key)
    for part in value if isinstance(value, list) else ():
        if isinstance(part, dict):
            names = part if peers else {kind: part.get(kind) for kind in _OWN}
            for name in requested_by(names).run:
                yield _nearest(packages, key, name)


def _nearest(packages: dict[str, object], key: str, name: str) -> str:
    """The key that `name` means within `key`: as in nested node_modules, the innermost one."""
    above = key if len(key) <= KEY_LIMIT else ""
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
