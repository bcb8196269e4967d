"""pylock.toml and pylock.NAME.toml. Source: the pylock.toml specification (PEP 751)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.installed import is_project
from sidelight.inventory.language.origin import Drawn, Origin, git, host
from sidelight.inventory.language.package_builder import (
    Entry,
    PackageDetails,
    RelatedEntry,
    pypi,
    related,
)
from sidelight.inventory.language.pypiorigin import Indexes, archive
from sidelight.inventory.language.safe_parsers import mapping, parse_toml, sequence
from sidelight.inventory.protocol import WantedFile, Wants
from sidelight.json_texts import text

if TYPE_CHECKING:
    from collections.abc import Iterator


def _wanted(path: str) -> bool:
    base = path.rpartition("/")[2]
    return is_project(path) and (base == "pylock.toml" or base.startswith("pylock."))


def _parse(file: WantedFile) -> Iterator[Entry | RelatedEntry]:
    packages = [
        mapping(item, "a package")
        for item in sequence(parse_toml(file.read()).get("packages"), "packages")
    ]
    indexes = Indexes(map(_drawn, packages))
    is_any = any("dependencies" in found for found in packages)
    for found in packages:
        version = text(found.get("version"))
        if version and "directory" not in found:  # what is built from a source tree may have none
            details = PackageDetails(origin=_origin(indexes, found))
            name = text(found.get("name"))
            entry = pypi(file.path, name, version, details)
            # Many tools write no dependencies at all.
            needs = _required(found) if "dependencies" in found or is_any else None
            yield related(entry, (name, f"{name}=={version}"), needs)


def _drawn(found: dict[str, object]) -> Drawn:
    needs = [
        text(mapping(item, "a dependency").get("name"))
        for item in sequence(found.get("dependencies"), "dependencies")
    ]
    return Drawn(text(found.get("name")), host(text(found.get("index"))), tuple(needs))


def _required(found: dict[str, object]) -> Iterator[str]:
    for item in sequence(found.get("dependencies"), "dependencies"):
        needed = mapping(item, "a dependency")
        name, version = text(needed.get("name")), text(needed.get("version"))
        yield f"{name}=={version}" if version else name


def _origin(indexes: Indexes, found: dict[str, object]) -> Origin:
    vcs = mapping(found.get("vcs"), "vcs")
    if vcs:
        return git(text(vcs.get("url")) or text(vcs.get("path")), text(vcs.get("commit-id")))
    packed = mapping(found.get("archive"), "archive")
    if packed:
        return archive(text(packed.get("url")) or text(packed.get("path")))
    return indexes.of(text(found.get("index")))


EXTRACTOR: Final = GeneratorExtractor(
    "language/python-pylock",
    Wants(suffixes=frozenset({".toml"}), confirm=_wanted, limit=8 << 20),
    _parse,
)
