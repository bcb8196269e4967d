"""Gradle's lock files: gradle.lockfile, buildscript-gradle.lockfile, dependency-locks/*.lockfile.

Source: Gradle's user manual, "Locking dependency versions" (single lock file per project, and the
format before that: a file a configuration, with coordinates alone).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.package_builder import Entry, PackageDetails, maven
from sidelight.inventory.protocol import WantedFile, Wants
from sidelight.model import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator


def _wanted(path: str) -> bool:
    """One file a project, or up to Gradle 6 one file a configuration."""
    return path.endswith("gradle.lockfile") or "/dependency-locks/" in path


def _parse(file: WantedFile) -> Iterator[Entry]:
    for line in file.read().decode("utf-8", "replace").splitlines():
        stripped = line.strip()
        if not stripped or stripped.startswith(("#", "empty=")):
            continue
        coordinates, _, configurations = stripped.partition("=")
        parts = coordinates.split(":")
        if len(parts) != 3:
            yield Problem("/" + file.path, f"{stripped[:80]!r} is not a group:artifact:version")
            continue
        names = configurations.split(",")
        dev = all(name.startswith("test") for name in names) if configurations else None
        yield maven(file.path, parts[0], parts[1], parts[2], PackageDetails(dev=dev))


EXTRACTOR: Final = GeneratorExtractor(
    "language/gradle-lock",
    Wants(suffixes=frozenset({".lockfile"}), confirm=_wanted, limit=8 << 20),
    _parse,
)
