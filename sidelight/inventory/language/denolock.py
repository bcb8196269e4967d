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
from sidelight.inventory.language.package_builder import Entry, PackageDetails, jsr, npm
from sidelight.inventory.language.safe_parsers import mapping, parse_json, sequence
from sidelight.inventory.protocol import WantedFile, Wants
from sidelight.json_texts import text
from sidelight.model import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

# `name@1.0.0_peer@2.0.0`: a version has no underscore, the peers follow one.
_KEY: Final = re.compile(r"(@[^/@]+/[^/@]+|[^/@]+)@([^_]+)(?:_.*)?")


def _parse(file: WantedFile) -> Iterator[Entry]:
    data = mapping(parse_json(file.read()), "the lock file")
    packages = mapping(data.get("packages"), "packages")  # version 3
    requested = _requested(data)
    for kind in ("npm", "jsr"):
        found = mapping(data.get(kind) or packages.get(kind), kind)
        if kind == "npm" and isinstance(inner := found.get("packages"), dict):  # version 2
            found = inner
        for key, value in found.items():
            yield _package(file.path, kind, key, value, requested)


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
