"""rpm's database of installed packages, in each of its three stores."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight.errors import FormatError, LimitError
from sidelight.inventory.os import rpm_berkeley, rpm_header, rpm_ndb, rpm_sqlite
from sidelight.inventory.protocol import MAX_OWNED, MAX_PACKAGES, Extraction, Wants
from sidelight.inventory.purl import distro_of, format_purl, namespace_of
from sidelight.model import Package

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidelight.errors import SidelightError
    from sidelight.inventory.os.rpm_header import RpmHeader
    from sidelight.inventory.protocol import Machine, WantedFile
    from sidelight.model import OperatingSystem

# /usr/share/rpm is rpm-ostree's.
_DIRECTORIES = ("var/lib/rpm", "usr/lib/sysimage/rpm", "usr/share/rpm")
LIMIT = 4 << 30


def _wants(name: str) -> Wants:
    return Wants(
        paths=frozenset(f"{directory}/{name}" for directory in _DIRECTORIES),
        limit=LIMIT,
        random_access=True,
    )


class RpmSqlite:
    """rpmdb.sqlite: Fedora 33, RHEL 9, Amazon Linux 2023 and later."""

    name = "os/rpm-sqlite"
    wants = _wants("rpmdb.sqlite")

    def extract(self, file: WantedFile, machine: Machine) -> Extraction:
        """All installed packages, committed frames of the log included."""
        return extraction(rpm_sqlite.header_blobs(file), f"/{file.path}", machine.os)


class RpmNdb:
    """Packages.db: SUSE."""

    name = "os/rpm-ndb"
    wants = _wants("Packages.db")

    def extract(self, file: WantedFile, machine: Machine) -> Extraction:
        """All installed packages; none where a newer store stands beside."""
        if _replaced(file, "rpmdb.sqlite"):
            return Extraction()
        return extraction(rpm_ndb.header_blobs(file), f"/{file.path}", machine.os)


class RpmBerkeley:
    """Packages: RHEL 8, Amazon Linux 2 and before."""

    name = "os/rpm-berkeley"
    wants = _wants("Packages")

    def extract(self, file: WantedFile, machine: Machine) -> Extraction:
        """All installed packages; none where a newer store stands beside."""
        if _replaced(file, "rpmdb.sqlite") or _replaced(file, "Packages.db"):
            return Extraction()
        return extraction(rpm_berkeley.header_blobs(file), f"/{file.path}", machine.os)


def _replaced(file: WantedFile, newer: str) -> bool:
    """Whether a newer store with contents stands beside: what is here was left by a conversion."""
    try:
        file.sibling(newer, limit=0)
    except LimitError:
        return True
    return False


def extraction(
    blobs: Iterable[bytes | SidelightError], path: str, system: OperatingSystem
) -> Extraction:
    """Packages and owned files of all header blobs. A damaged one is a Problem."""
    found = Extraction()
    namespace, distro = namespace_of(system, "rpm"), distro_of(system)
    for blob in blobs:
        if len(found.packages) >= MAX_PACKAGES or len(found.owned) > MAX_OWNED:
            found.note(path, "more packages or files than any system has: the rest is left out")
            break
        try:
            header = rpm_header.decode(_blob(blob))
        except FormatError as error:
            found.note(path, error.what)
            continue
        # rpm shows imported keys as packages; they are none.
        if header.name != "gpg-pubkey":
            found.packages.append(package(header, path, namespace, distro))
            found.owned.update(header.files)
    return found


def _blob(blob: bytes | SidelightError) -> bytes:
    if isinstance(blob, bytes):
        return blob
    raise blob


def package(header: RpmHeader, path: str, namespace: str, distro: str) -> Package:
    """One header as a Package; epoch 0 is no epoch."""
    release = f"{header.version}-{header.release}" if header.release else header.version
    epoch = str(header.epoch) if header.epoch else ""
    source_name, source_version = source_of(header.source_rpm)
    qualifiers = (
        ("arch", header.arch),
        ("distro", distro),
        ("epoch", epoch),
        ("upstream", header.source_rpm),
    )
    return Package(
        type="rpm",
        name=header.name,
        version=f"{epoch}:{release}" if epoch else release,
        path=path,
        purl=format_purl("rpm", namespace, header.name, release, qualifiers),
        arch=header.arch,
        source_name=source_name or header.name,
        source_version=source_version or release,
        vendor=header.vendor,
        modularity=header.modularity,
        licence=header.licence,
    )


def source_of(source_rpm: str) -> tuple[str, str]:
    """`bash-5.1.8-1.cm2.src.rpm` -> name and version-release; empty for another form."""
    parts = source_rpm.removesuffix(".rpm").rpartition(".")[0].rsplit("-", 2)
    return (parts[0], f"{parts[1]}-{parts[2]}") if len(parts) == 3 else ("", "")
