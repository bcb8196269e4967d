"""pnpm-lock.yaml, lockfile versions 5 to 9.

Since pnpm 11 the file may have two documents: the tools of the project's environment, and then the
project's own graph. All are read.
Source: the lockfile documents of pnpm's specification repository (5.2, 6.0, 9.0).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from sidelight.inventory.language import origin
from sidelight.inventory.language.dependencygraph import reachable
from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.installed import is_project
from sidelight.inventory.language.npmorigin import LockfileOrigins, from_registry
from sidelight.inventory.language.package_builder import (
    Entry,
    PackageDetails,
    RelatedEntry,
    npm,
    related,
)
from sidelight.inventory.language.public_registries import NPM_DEFAULT
from sidelight.inventory.language.safe_parsers import mapping, yaml_documents
from sidelight.inventory.protocol import WantedFile, Wants
from sidelight.json_texts import text
from sidelight.model import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.inventory.language.origin import Drawn

_RUN: Final = ("dependencies", "optionalDependencies")
# `/name/1.0.0_peer@1.0.0` or `registry/name/1.0.0`; `/name@1.0.0(peer@1.0.0)`, 9 without the slash.
_WITH_SLASH: Final = re.compile(r"(?:[^/@]*/)?((?:@[^/]+/)?[^/@]+)/([0-9][^/_()]*)(?:[_(].*)?")
_HOST: Final = re.compile(r"([a-z0-9-]+(?:\.[a-z0-9-]+)+(?::[0-9]+)?)/(?!/)")
_WITH_AT: Final = re.compile(r"/?((?:@[^/@]+/)?[^/@]+)@([0-9][^()]*)(?:\(.*)?")


def _parse(file: WantedFile) -> Iterator[Entry | RelatedEntry]:
    for document in yaml_documents(file.read()):
        yield from _document(file, mapping(document, "the lock file"))


def _document(file: WantedFile, data: dict[str, object]) -> Iterator[Entry | RelatedEntry]:
    importers = mapping(data.get("importers"), "importers") or {".": data}
    packages = mapping(data.get("packages"), "packages")
    snapshots = mapping(data.get("snapshots"), "snapshots")
    run, develop = _roots(importers, packages, snapshots)
    shipped = {_plain(key) for key in reachable(run, lambda key: _needs(snapshots, key))}
    direct = {_plain(key) for key in run | develop}
    origins = LockfileOrigins(_drawn(packages))
    resolved: dict[str, list[str]] = {}
    for key in snapshots:
        resolved.setdefault(_plain(key), []).append(key)
    for key, value in packages.items():
        found = value if isinstance(value, dict) else {}
        resolution = mapping(found.get("resolution"), "resolution")
        if resolution.get("type") == "directory":
            continue
        name, version = _named(key, found)
        if not version:
            yield Problem("/" + file.path, f"{key[:80]!r} names no package and version")
            continue
        dev = _plain(key) not in shipped if snapshots else _flag(found.get("dev"))
        source = _origin(origins, key, resolution)
        details = PackageDetails("", _plain(key) in direct, dev, origin=source)
        entry = npm(file.path, name, version, details)
        if snapshots:
            # A package may be resolved several times, with other peers each time.
            needs = (
                _plain(need) for own in resolved.get(key, ()) for need in _needs(snapshots, own)
            )
            yield related(entry, (key,), needs)
        else:
            yield related(entry, (key,), _needs(packages, key))


def _named(key: str, found: dict[str, object]) -> tuple[str, str]:
    match = _WITH_AT.fullmatch(key) or _WITH_SLASH.fullmatch(key)
    name = text(found.get("name")) or (match[1] if match else key.rpartition("@")[0])
    version = text(found.get("version")) or (match[2] if match else "")
    if "@" in name[1:]:  # `name@https://…`, from git or a tarball
        name = name[: name.index("@", 1)]
    return name, version


def _drawn(packages: dict[str, object]) -> Iterator[Drawn]:
    """Only the archives of other registries have an address; a plain integrity is the default's."""
    for key, value in packages.items():
        found = value if isinstance(value, dict) else {}
        resolution = mapping(found.get("resolution"), "resolution")
        url = text(resolution.get("tarball")) or NPM_DEFAULT
        host = _HOST.match(key)
        url = f"https://{host[1]}/-/" if host else url
        needs = [name for kind in _RUN for name in mapping(found.get(kind), kind)]
        yield from_registry(_named(key, found)[0], url, needs)


def _origin(origins: LockfileOrigins, key: str, resolution: dict[str, object]) -> origin.Origin:
    if resolution.get("type") == "git":
        return origin.git(text(resolution.get("repo")), text(resolution.get("commit")))
    if host := _HOST.match(key):
        return origins.of(f"https://{host[1]}/-/")
    return origins.of(text(resolution.get("tarball")))


def _roots(
    importers: dict[str, Any], packages: dict[str, Any], snapshots: dict[str, Any]
) -> tuple[set[str], set[str]]:
    """Keys of what is asked for to run, and to develop."""
    known = snapshots or packages
    run: set[str] = set()
    develop: set[str] = set()
    for importer in importers.values():
        wanted = mapping(importer, "an importer")
        for kind, found in ((_RUN, run), (("devDependencies",), develop)):
            for part in kind:
                for name, value in mapping(wanted.get(part), part).items():
                    version = text(value.get("version") if isinstance(value, dict) else value)
                    found.add(_key(known, name, version))
    return run, develop


def _key(known: dict[str, object], name: str, version: str) -> str:
    """The key of a dependency: the version alone is one where the name is an alias."""
    tried = (f"{name}@{version}", f"/{name}@{version}", f"/{name}/{version}", version)
    return next((key for key in tried if key in known), version)


def _needs(snapshots: dict[str, object], key: str) -> Iterator[str]:
    found = snapshots.get(key)
    if isinstance(found, dict):
        for kind in _RUN:
            for name, version in mapping(found.get(kind), kind).items():
                yield _key(snapshots, name, text(version))


def _plain(key: str) -> str:
    """A key without the peers that it was resolved with."""
    return key.partition("(")[0]


def _flag(value: object) -> bool | None:
    return None if value not in {"true", "false"} else value == "true"


EXTRACTOR: Final = GeneratorExtractor(
    "language/pnpm-lock",
    Wants(names=frozenset({"pnpm-lock.yaml"}), confirm=is_project, limit=32 << 20),
    _parse,
)
