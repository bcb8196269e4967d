"""deno.lock, versions 2 to 5: packages of npm and of JSR.

Modules that are loaded by their address have no version of their own and are left out.
Source: Deno's documentation of its lock file, and the files that it writes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.installed import is_project
from sidelight.inventory.language.npmorigin import LockfileOrigins, version_in
from sidelight.inventory.language.package_builder import (
    Entry,
    PackageDetails,
    RelatedEntry,
    jsr,
    npm,
    related,
)
from sidelight.inventory.language.safe_parsers import mapping, parse_json, sequence
from sidelight.inventory.protocol import WantedFile, Wants
from sidelight.json_texts import text
from sidelight.model import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# `name@1.0.0_peer@2.0.0`: a version has no underscore, the peers follow one.
_KEY: Final = re.compile(r"(@[^/@]+/[^/@]+|[^/@]+)@([^_]+)(?:_.*)?")


def _parse(file: WantedFile) -> Iterator[Entry | RelatedEntry]:
    data = mapping(parse_json(file.read()), "the lock file")
    packages = mapping(data.get("packages"), "packages")  # version 3
    requested = _requested(data)
    found = {kind: mapping(data.get(kind) or packages.get(kind), kind) for kind in ("npm", "jsr")}
    if isinstance(inner := found["npm"].get("packages"), dict):  # version 2
        found["npm"] = inner
    specifiers = mapping(data.get("specifiers") or packages.get("specifiers"), "specifiers")
    names = _Names(found, specifiers)
    for kind, of_kind in found.items():
        for key, value in of_kind.items():
            entry = _package(file.path, kind, key, value, requested)
            needs = [names.resolved(kind, need) for need in _needs(value)]
            yield related(entry, (f"{kind}:{key}",), needs)


class _Names:
    """What the dependencies of a lock file mean: a key, or a name that only one key has.

    Those of JSR's packages are specifiers, with or without the requested version.
    """

    def __init__(
        self, found: Mapping[str, Mapping[str, object]], specifiers: Mapping[str, object]
    ) -> None:
        self._specifiers = specifiers
        self._keys = dict.fromkeys(f"{kind}:{key}" for kind, keys in found.items() for key in keys)
        self._by_name: dict[str, str] = {}
        for key in self._keys:
            kind, _, rest = key.partition(":")
            if match := _KEY.fullmatch(rest):
                self._by_name[f"{kind}:{match[1]}"] = key

    def resolved(self, kind: str, need: str) -> str:
        """Return the key of a dependency, with its kind; one that is not there for a stranger."""
        specifier = need if need.startswith(("npm:", "jsr:")) else f"{kind}:{need}"
        if specifier in self._keys:
            return specifier
        name = specifier[:5] + specifier[5:].partition("@")[0]
        version = text(self._specifiers.get(specifier))
        # In version 3 the value is a specifier too.
        exact = version if version.startswith(("npm:", "jsr:")) else f"{name}@{version}"
        return exact if version else self._by_name.get(specifier, specifier)


def _needs(value: object) -> Iterator[str]:
    """Yield a package's dependencies: since version 4 a list, before a mapping of names to keys."""
    for part in ("dependencies", "optionalDependencies"):
        found = value.get(part) if isinstance(value, dict) else None
        items = found.values() if isinstance(found, dict) else sequence(found, part)
        yield from map(text, items)


def _package(path: str, kind: str, key: str, value: object, requested: set[str]) -> Entry:
    match = _KEY.fullmatch(key)
    if match is None:
        return Problem("/" + path, f"{key[:80]!r} names no package and version")
    direct = f"{kind}:{match[1]}" in requested if requested else None
    if kind == "jsr":
        return jsr(path, match[1], match[2], PackageDetails(direct=direct))
    url = text(value.get("tarball")) if isinstance(value, dict) else ""
    version = match[2] if "://" not in match[2] else version_in(match[2])
    return npm(
        path, match[1], version, PackageDetails(direct=direct, origin=LockfileOrigins(()).of(url))
    )


def _requested(data: dict[str, object]) -> set[str]:
    """`npm:name` of what the workspace asks for."""
    workspace = mapping(data.get("workspace"), "workspace")
    parts = [workspace, *mapping(workspace.get("members"), "members").values()]
    parts += [part.get("packageJson") for part in parts if isinstance(part, dict)]
    return {
        text(item).rpartition("@")[0]
        for part in parts
        if isinstance(part, dict)
        for item in sequence(part.get("dependencies"), "dependencies")
    }


EXTRACTOR: Final = GeneratorExtractor(
    "language/deno-lock",
    Wants(names=frozenset({"deno.lock"}), confirm=is_project, limit=32 << 20),
    _parse,
)
