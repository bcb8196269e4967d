"""pacman's local database: a directory a package, with `desc` and `files`.

Source: alpm's local database (alpm-db-desc and alpm-db-files): `%FIELD%`, its lines, a blank line.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sidelight.errors import DamagedError
from sidelight.inventory.protocol import Extraction, Wants
from sidelight.inventory.purl import distro_of, format_purl, namespace_of
from sidelight.model import Package

if TYPE_CHECKING:
    from sidelight.inventory.protocol import Machine, WantedFile

_PATH = re.compile(r"var/lib/pacman/local/[^/]+/(?:desc|files)")


class PacmanLocal:
    """Installed packages, and from `files` what they own."""

    name = "os/pacman"
    wants = Wants(
        names=frozenset(("desc", "files")), confirm=lambda path: _PATH.fullmatch(path) is not None
    )

    def extract(self, file: WantedFile, machine: Machine) -> Extraction:
        """One package. Raises DamagedError where it has no name or version."""
        fields = parse(file.read())
        if file.path.endswith("/files"):
            return Extraction(owned={name for name in fields.get("FILES", ()) if name})
        name, version, arch, base, licence, packager = (
            " ".join(fields.get(key, ()))
            for key in ("NAME", "VERSION", "ARCH", "BASE", "LICENSE", "PACKAGER")
        )
        if not name or not version:
            raise DamagedError("a package without a name or a version", where=f"/{file.path}")
        qualifiers = (
            ("arch", arch),
            ("distro", distro_of(machine.os)),
            ("upstream", base if base != name else ""),
        )
        namespace = namespace_of(machine.os, "arch")
        package = Package(
            type="alpm",
            name=name,
            version=version,
            path=f"/{file.path}",
            purl=format_purl("alpm", namespace, name, version, qualifiers),
            arch=arch,
            source_name=base or name,
            source_version=version,
            vendor=packager,
            licence=licence,
        )
        return Extraction(packages=[package])


def parse(data: bytes) -> dict[str, list[str]]:
    """Field -> its lines."""
    fields: dict[str, list[str]] = {}
    lines: list[str] | None = None
    for line in data.decode("utf-8", "surrogateescape").split("\n"):
        if len(line) > 2 and line[0] == line[-1] == "%" and lines is None:
            lines = fields.setdefault(line[1:-1], [])
        elif not line:
            lines = None
        elif lines is not None:
            lines.append(line)
    return fields
