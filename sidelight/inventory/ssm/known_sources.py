"""The source packages of Debian's and Ubuntu's binaries, which SSM's inventory does not have.

Their advisories are by source package. The map comes from machines of the same release whose disks
were read: dpkg's database names the source of each binary.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidelight.model import Package

# A rebuild without a change of the source: `1.2-3+b1` is built from 1.2-3 (deb-version(7)).
_REBUILD = re.compile(r"\+b[0-9]{1,4}$")


@dataclass(frozen=True, slots=True)
class SourcePackage:
    """A binary's source package, with its own version."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class KnownSources:
    """Source packages by binary, of one distribution release.

    `exact` is by (name, version). `by_name` has binaries whose versions are their sources' in all
    that is known, so that a version that no disk has shown yet has the source too. `removed` are
    (name, version, architecture) of packages that are removed with configuration files left.
    """

    exact: dict[tuple[str, str], SourcePackage] = field(default_factory=dict)
    by_name: dict[str, str] = field(default_factory=dict)
    removed: frozenset[tuple[str, str, str]] = frozenset()

    def source_of(self, name: str, version: str) -> SourcePackage | None:
        """Return a binary's source, None if it is not known."""
        known = self.exact.get((name, version))
        if known is not None:
            return known
        source = self.by_name.get(name)
        return None if source is None else SourcePackage(source, without_rebuild(version))


def without_rebuild(version: str) -> str:
    """Return the version of the source from which a binary of this version was built."""
    return _REBUILD.sub("", version)


def of_packages(
    packages: Iterable[Package], removed: Iterable[tuple[str, str, str]] = ()
) -> KnownSources:
    """Return the sources that packages of machines of one release show.

    A binary with several sources, or with other versions than its source (gcc, from gcc-defaults),
    is known by its exact version only.
    """
    exact: dict[tuple[str, str], SourcePackage] = {}
    by_name: dict[str, str] = {}
    unequal: set[str] = set()
    for package in packages:
        if package.type != "deb" or not package.source_name or package.layer:
            continue
        source = SourcePackage(package.source_name, package.source_version or package.version)
        exact[package.name, package.version] = source
        is_equal = source.version == without_rebuild(package.version)
        if not is_equal or by_name.setdefault(package.name, source.name) != source.name:
            unequal.add(package.name)
    for name in unequal:
        by_name.pop(name, None)
    return KnownSources(exact, by_name, frozenset(removed))
