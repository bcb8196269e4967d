"""rpm's database of installed packages, in each of its three stores (rpm_stores chooses)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight.errors import FormatError, LimitError, SourceError
from sidelight.inventory.os import rpm_berkeley, rpm_header, rpm_ndb, rpm_sqlite, rpm_stores
from sidelight.inventory.os.rpm_relations import DatabaseRelations
from sidelight.inventory.protocol import MAX_PACKAGES, REMARK_LIMIT, Extraction, Wants, unfit
from sidelight.inventory.purl import distro_of, format_purl, namespace_of
from sidelight.model import Package
from sidelight.vendors import is_covered

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

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
        """All installed packages; none of a damaged store that a newer one replaced."""
        return _older(file, machine, rpm_ndb.header_blobs, ("rpmdb.sqlite",))


class RpmBerkeley:
    """Packages: RHEL 8, Amazon Linux 2 and before."""

    name = "os/rpm-berkeley"
    wants = _wants("Packages")

    def extract(self, file: WantedFile, machine: Machine) -> Extraction:
        """All installed packages; none of a damaged store that a newer one replaced."""
        return _older(file, machine, rpm_berkeley.header_blobs, ("rpmdb.sqlite", "Packages.db"))


def _older(
    file: WantedFile,
    machine: Machine,
    header_blobs: Callable[[WantedFile], Iterable[bytes | SidelightError]],
    newer: Iterable[str],
) -> Extraction:
    try:
        return extraction(header_blobs(file), f"/{file.path}", machine.os)
    except FormatError:
        if any(_has_contents(file, name) for name in newer):
            return Extraction()  # left by a conversion; a newer one that is empty is reported
        raise


def _has_contents(file: WantedFile, name: str) -> bool:
    try:
        file.sibling(name, limit=0)
    except LimitError:
        return True
    return False


def extraction(
    blobs: Iterable[bytes | SidelightError], path: str, system: OperatingSystem
) -> Extraction:
    """Packages and owned files of all header blobs. A damaged one is a Problem.

    The files are owned if this store is the one that rpm uses (`rpm_stores.owner_of`).
    What ends the store before its end is a Problem too, in addition to the packages read.
    Raises it as it is (FormatError, SourceError) where there was no header yet.
    """
    found = Extraction(owner=rpm_stores.owner_of(path))
    owners, relations = CoveredRpmFiles(found), DatabaseRelations()
    try:
        _collect(blobs, path, system, owners, relations)
    except (FormatError, SourceError) as error:
        if not found.packages:
            raise
        found.note(path, error.what)
    owners.settle()
    try:
        declared = relations.declarations(found.packages)
    except LimitError as error:
        found.note(path, f"{error.what}: their dependencies are left out")
    else:
        found.relate(path, declared)
    return found


class CoveredRpmFiles:
    """Takes the files of packages without another vendor; those without any vendor wait.

    Every distribution's build names its vendor, and a package that was built on the machine often
    names none. So where one package of a database has a vendor, the files of those without are not
    covered by the distribution's advisories. In a database without any vendor they are.
    """

    def __init__(self, found: Extraction) -> None:
        """`found` gets the owned paths."""
        self.found = found
        self._nameless: Extraction | None = Extraction()

    def own(self, where: str, vendor: str, paths: Collection[str]) -> None:
        """Take the files of one package."""
        if vendor.strip():
            self._nameless = None
            self.found.own(where, paths)
        elif self._nameless is not None:
            self._nameless.own(where, paths)

    def settle(self) -> None:
        """Decide about the packages without a vendor, when all were taken."""
        if self._nameless is not None:
            self.found.owned |= self._nameless.owned
            self.found.problems += self._nameless.problems


def _collect(
    blobs: Iterable[bytes | SidelightError],
    path: str,
    system: OperatingSystem,
    owners: CoveredRpmFiles,
    relations: DatabaseRelations,
) -> None:
    found = owners.found
    namespace, distro = namespace_of(system, "rpm"), distro_of(system)
    for blob in blobs:
        if len(found.packages) >= MAX_PACKAGES:
            found.note(path, f"more than {MAX_PACKAGES} packages: the rest is left out")
            break
        try:
            header = rpm_header.decode(_blob(blob))
        except FormatError as error:
            found.note(path, error.what)
            continue
        # rpm shows imported keys as packages; they are none.
        if header.name == "gpg-pubkey":
            continue
        if fault := _unfit(header):
            found.note(path, fault)
            continue
        built = package(header, path, namespace, distro)
        if header.relations is None:
            found.note(path, f"{header.name[:80]}: its dependencies are damaged")
        else:
            relations.add(len(found.packages), header.relations)
        found.packages.append(built)
        if is_covered(built.type, built.vendor, built.version, system):
            owners.own(path, built.vendor, header.files)


def _unfit(header: RpmHeader) -> str:
    """Why this cannot be a package, or empty."""
    version = f"{header.version}-{header.release}"
    return unfit(header.name, version, header.arch, header.source_rpm, header.modularity)


def _blob(blob: bytes | SidelightError) -> bytes:
    if isinstance(blob, bytes):
        return blob
    raise blob


def package(header: RpmHeader, path: str, namespace: str, distro: str) -> Package:
    """One header as a Package; epoch 0 is not an epoch."""
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
        vendor=(header.vendor or header.packager or header.distribution)[:REMARK_LIMIT],
        modularity=header.modularity,
        licence=header.licence[:REMARK_LIMIT],
    )


def source_of(source_rpm: str) -> tuple[str, str]:
    """`bash-5.1.8-1.cm2.src.rpm` -> name and version-release; empty for another form."""
    parts = source_rpm.removesuffix(".rpm").rpartition(".")[0].rsplit("-", 2)
    return (parts[0], f"{parts[1]}-{parts[2]}") if len(parts) == 3 else ("", "")
