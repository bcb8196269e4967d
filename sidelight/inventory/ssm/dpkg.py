"""AWS:Application of dpkg's machines (`dpkg-query -W`): no source package and no status.

The agent makes PackageId up (`NAME_VERSION_ARCH.deb`), and writes x86_64 for amd64. A package that
was removed with configuration files left is listed as an installed one: only a map of what the
disk had shows (KnownSources.removed).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.inventory.protocol import REMARK_LIMIT
from sidelight.inventory.purl import distro_of, format_purl, namespace_of
from sidelight.inventory.ssm.items import fault_of_texts
from sidelight.model import Package

if TYPE_CHECKING:
    from sidelight.inventory.ssm.items import Entry
    from sidelight.inventory.ssm.known_sources import KnownSources
    from sidelight.model import OperatingSystem

PATH: Final = "/var/lib/dpkg/status"
_ARCHITECTURES: Final = {"x86_64": "amd64"}


def is_deb(entry: Entry) -> bool:
    """Return whether an entry of AWS:Application is a dpkg package."""
    return entry.get("PackageId", "").endswith(".deb")


def package(entry: Entry, system: OperatingSystem, known: KnownSources) -> Package | str | None:
    """Return an entry's package, why it is none, or None for one that is known to be removed.

    `source_name` is empty where the source is not known.
    """
    name, version, arch = (entry.get(key, "") for key in ("Name", "Version", "Architecture"))
    if fault := fault_of_texts(name, version, arch):
        return fault
    arch = _ARCHITECTURES.get(arch, arch)
    if (name, version, arch) in known.removed:
        return None
    source = known.source_of(name, version)
    maintainer = entry.get("Publisher", "")
    upstream = ""
    if source is not None and source.name != name:
        upstream = source.name
    if source is not None and source.version != version:
        upstream = f"{source.name}@{source.version}"
    qualifiers = (("arch", arch), ("distro", distro_of(system)), ("upstream", upstream))
    return Package(
        type="deb",
        name=name,
        version=version,
        path=PATH,
        purl=format_purl("deb", namespace_of(system, "debian"), name, version, qualifiers),
        arch=arch,
        source_name="" if source is None else source.name,
        source_version="" if source is None else source.version,
        vendor=maintainer[:REMARK_LIMIT] if maintainer.isprintable() else "",
    )
