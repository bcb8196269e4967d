"""The source packages of Debian's and Ubuntu's binaries, which SSM's inventory does not have.

Their advisories are by source package. What is known of them, the best first: the machine's own
dpkg database; those of machines of the same release whose disks were read; the lists of binaries
in advisory feeds.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sidelight.versions.dpkg import without_rebuild

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sidelight.model import Package


@dataclass(frozen=True, slots=True)
class SourcePackage:
    """A binary's source package, with its own version."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class KnownSources:
    """Source packages by binary, of one distribution release.

    `exact` is by (name, version). `by_name` has binaries whose versions are their sources' in all
    that is known, so that a version that no disk has shown yet has the source too. `uncertain` are
    binaries with several sources, or with versions that are not their sources'. `removed` are
    (name, version, architecture) of packages that are removed with configuration files left.
    `less_certain` are the sources by worse evidence: they do not count for a name that is in
    `by_name` or `uncertain` here.
    """

    exact: dict[tuple[str, str], SourcePackage] = field(default_factory=dict)
    by_name: dict[str, str] = field(default_factory=dict)
    uncertain: frozenset[str] = frozenset()
    removed: frozenset[tuple[str, str, str]] = frozenset()
    less_certain: KnownSources | None = None

    def with_better(self, better: KnownSources) -> KnownSources:
        """Return these with better ones, which count before them. They must not be layered."""
        return replace(better, less_certain=self)

    def _layers(self) -> Iterator[KnownSources]:
        layer: KnownSources | None = self
        while layer is not None:
            yield layer
            layer = layer.less_certain

    def source_of(self, name: str, version: str) -> SourcePackage | None:
        """Return a binary's source, None if it is not known."""
        for layer in self._layers():
            if known := layer.exact.get((name, version)):
                return known
        for layer in self._layers():
            if source := layer.by_name.get(name):
                return SourcePackage(source, without_rebuild(version))
            if name in layer.uncertain:
                return None
        return None


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
    return KnownSources(exact, by_name, frozenset(unequal), frozenset(removed))


def of_lists(certain: Mapping[str, str], others: Iterable[str]) -> KnownSources:
    """Return the sources that the lists of binaries in advisory feeds show.

    `certain` are binaries with one source in all lists, and versions that are the source's;
    `others` are all other binaries of the lists: nothing is guessed of them.
    """
    return KnownSources(by_name=dict(certain), uncertain=frozenset(others))
