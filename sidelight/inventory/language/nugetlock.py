"""NuGet: packages.lock.json and packages.config. Source: NuGet's documentation of both files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.errors import DamagedError
from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.package_builder import (
    Entry,
    PackageDetails,
    RelatedEntry,
    flat,
    related,
)
from sidelight.inventory.language.safe_parsers import mapping, parse_json, parse_xml
from sidelight.inventory.protocol import WantedFile, Wants
from sidelight.json_texts import text

if TYPE_CHECKING:
    from collections.abc import Iterator


def _parse_lock(file: WantedFile) -> Iterator[Entry | RelatedEntry]:
    data = mapping(parse_json(file.read()), "the lock file")
    for framework, packages in mapping(data.get("dependencies"), "dependencies").items():
        for name, value in mapping(packages, framework).items():
            found = mapping(value, "a package")
            kind, version = text(found.get("type")), text(found.get("resolved"))
            if kind == "Project":
                continue
            needs = mapping(found.get("dependencies"), "dependencies")
            # `net8.0/linux-x64` has what that platform adds to `net8.0`.
            targets = dict.fromkeys((framework, framework.partition("/")[0]))
            entry = flat(file.path, "nuget", name, version, PackageDetails(direct=kind == "Direct"))
            yield related(
                entry,
                (f"{framework} {name.lower()}",),
                (f"{target} {need.lower()}" for target in targets for need in needs),
            )


def _parse_config(file: WantedFile) -> Iterator[Entry]:
    root = parse_xml(file.read())
    if root.tag != "packages":
        raise DamagedError("no packages.config: its root is not packages")
    for item in root.iter("package"):
        details = PackageDetails(dev=item.get("developmentDependency", "").lower() == "true")
        yield flat(file.path, "nuget", item.get("id", ""), item.get("version", ""), details)


LOCK_EXTRACTOR: Final = GeneratorExtractor(
    "language/nuget-lock",
    Wants(names=frozenset({"packages.lock.json"}), limit=32 << 20),
    _parse_lock,
)
CONFIG_EXTRACTOR: Final = GeneratorExtractor(
    "language/nuget-config",
    Wants(names=frozenset({"packages.config"}), limit=8 << 20),
    _parse_config,
)
