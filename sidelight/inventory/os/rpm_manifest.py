"""What Azure Linux (CBL-Mariner) leaves of rpm's database in an image without rpm.

Source: `rpm -qa --qf` as the distribution's image tools call it; one package a line, ten columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight.inventory.os.rpm import package
from sidelight.inventory.os.rpm_header import RpmHeader
from sidelight.inventory.protocol import MAX_PACKAGES, Extraction, Wants, unfit
from sidelight.inventory.purl import distro_of, namespace_of

if TYPE_CHECKING:
    from sidelight.inventory.protocol import Machine, WantedFile

_COLUMNS = 10
_MAX_LINE = 8192  # bytes
_MAX_DIGITS = 10  # of an epoch, which is a 32-bit number; or of `(none)`


class RpmManifest:
    """/var/lib/rpmmanifest/container-manifest-2."""

    name = "os/rpm-manifest"
    wants = Wants(paths=frozenset(("var/lib/rpmmanifest/container-manifest-2",)))

    def extract(self, file: WantedFile, machine: Machine) -> Extraction:
        """Name, version-release, times, vendor, …, architecture, epoch, source package."""
        found = Extraction()
        path = f"/{file.path}"
        namespace, distro = namespace_of(machine.os, "rpm"), distro_of(machine.os)
        data = file.read()
        for number, raw in enumerate(data.split(b"\n", MAX_PACKAGES), 1):
            if number > MAX_PACKAGES:
                found.note(path, f"more than {MAX_PACKAGES} lines: the rest is left out")
                break
            if not raw:
                continue
            header = _header(raw[:_MAX_LINE].decode("utf-8", "surrogateescape"))
            if header is None:
                found.note(path, f"line {number} does not name a package")
            elif fault := unfit(header.name, header.version, header.arch, header.source_rpm):
                found.note(path, fault)
            else:
                found.packages.append(package(header, path, namespace, distro))
        return found


def _header(line: str) -> RpmHeader | None:
    columns = line.split("\t")
    if len(columns) != _COLUMNS:
        return None
    version, _, release = columns[1].rpartition("-")
    epoch = columns[8]
    if not columns[0] or not version or len(epoch) > _MAX_DIGITS:
        return None
    return RpmHeader(
        name=columns[0],
        epoch=int(epoch) if epoch.isascii() and epoch.isdigit() else None,
        version=version,
        release=release,
        arch=columns[7],
        source_rpm=columns[9] if columns[9] != "(none)" else "",
        vendor=columns[4] if columns[4] != "(none)" else "",
    )
