"""package-lock.json and npm-shrinkwrap.json, lockfile versions 1 to 3.

Source: the package-lock.json page of npm's documentation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.installed import is_project
from sidelight.inventory.language.nodeplaces import MODULES, found_at, needs_of
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
from sidelight.inventory.language.packagejson import requested_by, requirements_beside
from sidelight.inventory.language.safe_parsers import mapping, parse_json
from sidelight.inventory.protocol import WantedFile, Wants
from sidelight.json_texts import text

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOCAL: Final = ("file:", "link:", "workspace:")


def _parse(file: WantedFile) -> Iterator[Entry | RelatedEntry]:
    data = mapping(parse_json(file.read()), "the lock file")
    packages = mapping(data.get("packages"), "packages")
    if packages:
        yield from _installed(file, packages)
    else:
        yield from _required(file, mapping(data.get("dependencies"), "dependencies"))


def _installed(file: WantedFile, packages: dict[str, object]) -> Iterator[Entry | RelatedEntry]:
    """Versions 2 and 3: a flat mapping of places."""
    requested = requested_by(mapping(packages.get(""), "the root package"))
    origins = LockfileOrigins(
        from_registry(place.rpartition(MODULES)[2], text(found.get("resolved")), needs_of(found))
        for place, found in packages.items()
        if isinstance(found, dict)
    )
    for place, value in packages.items():
        found = mapping(value, "a package")
        _, modules, name = place.rpartition(MODULES)
        if not modules or found.get("link"):
            continue  # the application itself, a workspace, or a link to one
        version = text(found.get("version"))
        if not version:
            continue  # an optional package of another platform, which was not resolved
        direct = place == MODULES + name and requested.direct(name) if requested.any else None
        dev = bool(found.get("dev"))  # `devOptional` is an optional part of what is shipped too
        details = PackageDetails(
            text(found.get("license")), direct, dev, origin=origins.of(text(found.get("resolved")))
        )
        entry = npm(file.path, text(found.get("name")) or name, version, details)
        yield related(entry, (place,), found_at(packages, place, needs_of(found)))


def _required(file: WantedFile, dependencies: dict[str, object]) -> Iterator[Entry | RelatedEntry]:
    """Version 1: a tree; what is asked for is in package.json alone."""
    requested = requirements_beside(file)
    found = list(_flat(dependencies))
    origins = LockfileOrigins(
        from_registry(
            place.rpartition(MODULES)[2],
            text(value.get("resolved")),
            mapping(value.get("requires"), "requires"),
        )
        for place, value in found
        if isinstance(value.get("requires"), dict)
    )
    places = {place for place, _ in found}
    for place, value in found:
        key = place.rpartition(MODULES)[2]
        wanted = text(value.get("version"))
        name, version = _resolved(key, wanted)
        if version:
            is_top = place == MODULES + key
            direct = None if requested is None else is_top and requested.direct(key)
            is_address = ":" in wanted and not wanted.startswith("npm:")
            url = wanted if is_address else text(value.get("resolved"))
            details = PackageDetails("", direct, bool(value.get("dev")), origin=origins.of(url))
            needs = value.get("requires")
            required = found_at(places, place, needs) if isinstance(needs, dict) else ()
            yield related(npm(file.path, name, version, details), (place,), required)


def _flat(dependencies: dict[str, object]) -> Iterator[tuple[str, dict[str, object]]]:
    """(place, entry) of a tree, the places as versions 2 and 3 have them."""
    waiting = [(dependencies, "")]
    while waiting:
        level, above = waiting.pop()
        for key, value in level.items():
            found = mapping(value, "a dependency")
            place = above + MODULES + key
            if below := found.get("dependencies"):
                waiting.append((mapping(below, "dependencies"), f"{place}/"))
            yield place, found


def _resolved(name: str, version: str) -> tuple[str, str]:
    """The package behind an alias; a commit is the version of what comes from git."""
    if version.startswith("npm:"):
        real, at, wanted = version.removeprefix("npm:").rpartition("@")
        return (real, wanted) if at and real else (name, wanted)
    if version.startswith(_LOCAL):
        return name, version_in(version) if is_archive_file(version) else ""
    if ":" in version:
        return name, version.partition("#")[2] or version_in(version)
    return name, version


EXTRACTOR: Final = GeneratorExtractor(
    "language/npm-lock",
    Wants(
        names=frozenset({"package-lock.json", "npm-shrinkwrap.json"}),
        confirm=is_project,
        limit=32 << 20,
    ),
    _parse,
)
