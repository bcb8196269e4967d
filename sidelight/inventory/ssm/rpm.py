"""AWS:Application of rpm's machines (`rpm -qa`): version and release apart, PackageId the source.

There is no module label and no licence. An agent writes Epoch from what precedes a colon, which is
wrong for some names: only a number counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.inventory.os import rpm
from sidelight.inventory.os.rpm_header import RpmHeader
from sidelight.inventory.purl import distro_of, namespace_of
from sidelight.inventory.ssm.items import fault_of_texts

if TYPE_CHECKING:
    from sidelight.inventory.ssm.items import Entry
    from sidelight.model import OperatingSystem, Package

_MAX_EPOCH = 10  # digits; rpm's epoch is a u32
# Where the system's own database is, so that a package has one path by both methods.
_OLD: Final = "/var/lib/rpm/Packages"
_NEW: Final = "/var/lib/rpm/rpmdb.sqlite"
_IMAGE: Final = "/usr/lib/sysimage/rpm/rpmdb.sqlite"
_SUSE: Final = "/usr/lib/sysimage/rpm/Packages.db"
# By os-release's ID: the first major versions with rpmdb.sqlite, and with /usr/lib/sysimage.
_SINCE: Final = {
    "rhel": (9, 10),
    "centos": (9, 10),
    "almalinux": (9, 10),
    "rocky": (9, 10),
    "ol": (9, 10),
    "fedora": (33, 36),
    "amzn": (2023, 9999),
}


def database_path(system: OperatingSystem) -> str:
    """Return the path of the package database that a release has as it is installed."""
    if system.id.startswith(("sle", "sl-", "opensuse")):
        return _SUSE
    sqlite, image = _SINCE.get(system.id, (0, 9999))
    major = system.version_id.partition(".")[0]
    number = int(major) if major.isascii() and major.isdigit() and len(major) < 6 else 0
    # Amazon Linux's first releases are numbered by year too (2018.03).
    if number < sqlite or (system.id == "amzn" and "." in system.version_id):
        return _OLD
    return _IMAGE if number >= image else _NEW


def is_rpm(entry: Entry) -> bool:
    """Return whether an entry of AWS:Application is an rpm package."""
    return entry.get("PackageId", "").endswith(".rpm") or bool(entry.get("Release"))


def package(entry: Entry, system: OperatingSystem) -> Package | str | None:
    """Return an entry's package, why it is none, or None for an imported key."""
    name, version, release = (entry.get(key, "") for key in ("Name", "Version", "Release"))
    if name == "gpg-pubkey":
        return None  # rpm shows imported keys as packages
    arch, source = entry.get("Architecture", ""), entry.get("PackageId", "")
    if fault := fault_of_texts(name, version, release, arch, source):
        return fault
    epoch = entry.get("Epoch", "")
    is_number = epoch.isascii() and epoch.isdigit() and len(epoch) <= _MAX_EPOCH
    header = RpmHeader(
        name=name,
        epoch=int(epoch) if is_number else None,
        version=version,
        release=release,
        arch="" if arch == "(none)" else arch,
        source_rpm=source if source.endswith(".rpm") else "",
        vendor=_printable(entry.get("Publisher", "")),
    )
    return rpm.package(
        header, database_path(system), namespace_of(system, "rpm"), distro_of(system)
    )


def _printable(text: str) -> str:
    return text if text.isprintable() and text != "(none)" else ""
