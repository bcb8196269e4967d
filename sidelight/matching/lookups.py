"""Which ecosystem, names and versions are looked up in a database for a package.

A machine has thousands of packages, so this runs thousands of times a match: what depends on the
ecosystem or the vendor alone is cached, and a check that few packages need is behind a cheap one.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from sidelight import vendors
from sidelight.advisories import ecosystems
from sidelight.advisories.feeds.whole_documents import also_named
from sidelight.advisories.judge import kernel_packages, windows_updates
from sidelight.inventory.purl import is_of_public_registry
from sidelight.model import OperatingSystem
from sidelight.versions.rpm import without_epoch

if TYPE_CHECKING:
    from sidelight.model import Inventory, Package

_DISTRO = re.compile(r"[?&]distro=([^&#]*)")
_SIGNED = "linux-signed"
_SIGNED_KERNEL = re.compile(r"linux-signed(?:-(?:amd64|arm64|i386)$)?")
# Distributions whose feeds name source packages, with the source's version.
_BY_SOURCE = (
    *("Debian:", "Ubuntu:", "Echo", "Alpine:", "Alpaquita:", "BellSoft Hardened Containers:"),
    *("Chainguard", "CleanStart", "MinimOS", "Wolfi"),
)
# Distributions whose feeds name binaries and also `src:<name>`: Red Hat if there is no fix yet,
# Rocky Linux's OSV always, with the source's own version, without an epoch.
_ALSO_BY_SOURCE = ("Red Hat:", "Rocky Linux:")
# Distributions whose feeds name source packages, binaries or both, without distinguishing them.
_BY_EITHER = ("Azure Linux:", "Mageia:", "Photon OS:", "openEuler:")


class Lookup(NamedTuple):
    """What is looked up for a package, and what of it decides between the hits.

    `also` are further names to look up, each with a version.
    """

    ecosystem: str
    name: str
    version: str
    modularity: str
    type: str
    also: tuple[tuple[str, str], ...]


class _Naming(NamedTuple):
    """Which of a package's names the feeds of an ecosystem have."""

    by_source: bool
    also_by_source: bool
    by_either: bool
    has_backports: bool


@lru_cache(maxsize=1 << 10)
def _naming(ecosystem: str) -> _Naming:
    return _Naming(
        ecosystem.startswith(_BY_SOURCE),
        ecosystem.startswith(_ALSO_BY_SOURCE),
        ecosystem.startswith(_BY_EITHER),
        ecosystem.startswith("Debian:"),
    )


def questions(inventory: Inventory) -> frozenset[tuple[str, str]]:
    """Return every (ecosystem, name) that `match` looks up for an inventory, in any database.

    If none of them is among a `Changes.packages`, the inventory keeps its findings.
    """
    machine = MachineLookups(inventory.os)
    return frozenset().union(*(machine.names_of(package) for package in inventory.packages))


class MachineLookups:
    """Decides for each package of a machine where and as what it is looked up."""

    def __init__(self, os: OperatingSystem) -> None:
        """`os` is the machine's own operating system."""
        self._os = os
        self._own = ecosystems.of_machine(os)

    def names_of(self, package: Package) -> frozenset[tuple[str, str]]:
        """Return every (ecosystem, name) that `match` looks up; empty if no database can match."""
        ecosystem = self.ecosystem_asked(package)
        if not ecosystem:
            return frozenset()
        lookup = lookup_of(package, ecosystem)
        names = {lookup.name, *(name for name, _version in lookup.also)}
        if package.type == "windows":
            names |= windows_updates.installed(package)
        return frozenset((ecosystem, item) for item in names if item)

    def ecosystem_asked(self, package: Package) -> str:
        """Return the ecosystem in which `match` looks the package up, "" if in none."""
        if package.running_kernel is False or self.supplier(package):
            return ""
        if package.name.startswith("linux-") and kernel_packages.is_meta(package):
            return ""
        return self.ecosystem(package)

    def system(self, package: Package) -> OperatingSystem:
        """Return a package's operating system: the machine's, or that of a container's root.

        A root's system is in the package's purl (`distro=debian-12`); without a release file it is
        unknown.
        """
        return _system_of_root(package.purl) if is_of_a_container(package) else self._os

    def supplier(self, package: Package) -> str:
        """Return the vendor of an OS package that the distribution does not ship, else ""."""
        kind, vendor = package.type, package.vendor
        if kind not in ecosystems.OS_TYPES or not (vendor or kind == "rpm"):
            return ""  # without a vendor, only an rpm's release may have a vendor's mark
        system = self.system(package) if package.layer else self._os
        found = vendors.supplier(kind, vendor, package.version, system)
        if not found and kernel_packages.is_built_by_hand(package):
            return "a kernel built by hand"
        return found

    def ecosystem(self, package: Package) -> str:
        """Return the ecosystem whose feeds cover the package, "" if none does."""
        kind = package.type
        if kind in ecosystems.LANGUAGES:
            public = is_of_public_registry(package.purl)
            return ecosystems.LANGUAGES[kind] if public else ""
        if kind in ecosystems.WHOLE_SYSTEMS and not self._os.id:
            # A fleet matches a package once, without the machines: it is the system itself.
            return ecosystems.of_whole_system(kind, package.name)
        own = ecosystems.of_machine(self.system(package)) if package.layer else self._own
        return ecosystems.of_package(kind, own, package.vendor, package.version)


def is_of_a_container(package: Package) -> bool:
    """Return whether it is an operating system's package, but not of the machine's own system."""
    return bool(package.layer) and package.type in ecosystems.OS_TYPES


@lru_cache(maxsize=1 << 12)
def _system_of_root(purl: str) -> OperatingSystem:
    match = _DISTRO.search(purl)
    distro = unquote(match[1]) if match else ""
    if distro in ecosystems.ROLLING:
        return OperatingSystem(id=distro)
    identity, _dash, version = distro.rpartition("-")
    return OperatingSystem(id=identity or distro, version_id=version if identity else "")


def lookup_of(package: Package, ecosystem: str) -> Lookup:
    """Return what is looked up for a package in the ecosystem that `ecosystem_asked` returned."""
    kind, name, version, source = package.type, package.name, package.version, package.source_name
    by_source, also_by_source, by_either, has_backports = _naming(ecosystem)
    also: tuple[tuple[str, str], ...] = ()
    if by_source:
        built_from = source or name
        if built_from.startswith(_SIGNED):
            # The signed kernel is built from a separate package with separate versions; the
            # binary has the version of the kernel proper, which the feeds use.
            name = _SIGNED_KERNEL.sub("linux", built_from)
        else:
            name, version = built_from, package.source_version or version
        if has_backports and "~bpo" in version:
            version, _release = ecosystems.backport(version)
    elif kind == "macos":  # advisories are by major version
        name = f"{name} {version.partition('.')[0]}"
    else:
        name = ecosystems.normal_name(ecosystem, name)
        if kind == "maven":
            also = tuple((whole, version) for whole in also_named(ecosystem, name))
        elif source and also_by_source:
            also = ((f"src:{source}", without_epoch(package.source_version or version)),)
        elif source and by_either and source != name:
            also = ((source, package.source_version or version),)
    return Lookup(ecosystem, name, version, package.modularity, kind, also)
