"""What Azure Linux (CBL-Mariner) leaves of rpm's database in an image without rpm.

Source: `rpm -qa --qf` as the distribution's image tools call it; one package a line, ten columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight.inventory.os.rpm import package
from sidelight.inventory.os.rpm_header import RpmHeader
from sidelight.inventory.protocol import Extraction, Wants
from sidelight.inventory.purl import distro_of, namespace_of
from sidelight.model import Problem

if TYPE_CHECKING:
    from sidelight.inventory.protocol import Machine, WantedFile

_COLUMNS = 10


class RpmManifest:
    """/var/lib/rpmmanifest/container-manifest-2."""

    name = "os/rpm-manifest"
    wants = Wants(paths=frozenset(("var/lib/rpmmanifest/container-manifest-2",)))

    def extract(self, file: WantedFile, machine: Machine) -> Extraction:
        """Name, version-release, times, vendor, …, architecture, epoch, source package."""
        found = Extraction()
        path = f"/{file.path}"
        namespace, distro = namespace_of(machine.os, "rpm"), distro_of(machine.os)
        lines = file.read().decode("utf-8", "surrogateescape").split("\n")
        for number, line in enumerate(lines, 1):
            if not line:
                continue
            columns = line.split("\t")
            version, _, release = columns[1].rpartition("-") if len(columns) > 1 else ("", "", "")
            if len(columns) != _COLUMNS or not columns[0] or not version:
                found.problems.append(Problem(path, f"line {number} does not name a package"))
                continue
            header = RpmHeader(
                name=columns[0],
                epoch=int(columns[8]) if columns[8].isascii() and columns[8].isdigit() else None,
                version=version,
                release=release,
                arch=columns[7],
                source_rpm=columns[9] if columns[9] != "(none)" else "",
                vendor=columns[4] if columns[4] != "(none)" else "",
            )
            found.packages.append(package(header, path, namespace, distro))
        return found
