"""Gradle's version catalogs (libs.versions.toml): libraries with a version of their own.

Source: Gradle's user manual, "Version catalogs" (rich versions: strictly, require, prefer).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.installed import is_project
from sidelight.inventory.language.package_builder import Entry, PackageDetails, maven
from sidelight.inventory.language.safe_parsers import mapping, parse_toml
from sidelight.inventory.protocol import WantedFile, Wants
from sidelight.json_texts import text

if TYPE_CHECKING:
    from collections.abc import Iterator

_RANGE: Final = frozenset("[](),+")


def _parse(file: WantedFile) -> Iterator[Entry]:
    data = parse_toml(file.read())
    versions = mapping(data.get("versions"), "versions")
    for value in mapping(data.get("libraries"), "libraries").values():
        group, artifact, version = _library(value, versions)
        if group and artifact and version and not set(version) & _RANGE:
            yield maven(file.path, group, artifact, version, PackageDetails(direct=True))


def _library(value: object, versions: dict[str, object]) -> tuple[str, str, str]:
    if isinstance(value, str):
        group, _, rest = value.partition(":")
        artifact, _, version = rest.partition(":")
        return group, artifact, version
    found = mapping(value, "a library")
    group, _, artifact = text(found.get("module")).partition(":")
    version = _version(found.get("version"), versions)
    return group or text(found.get("group")), artifact or text(found.get("name")), version


def _version(value: object, versions: dict[str, object]) -> str:
    if isinstance(value, dict):
        if reference := text(value.get("ref")):
            named = versions.get(reference)
            return "" if isinstance(named, dict) and "ref" in named else _version(named, versions)
        kinds = ("strictly", "require", "prefer")
        return next((found for kind in kinds if (found := text(value.get(kind)))), "")
    return text(value)


def _wanted(path: str) -> bool:
    return is_project(path) and path.endswith(".versions.toml")


EXTRACTOR: Final = GeneratorExtractor(
    "language/gradle-catalog",
    Wants(suffixes=frozenset({".toml"}), confirm=_wanted, limit=4 << 20),
    _parse,
)
