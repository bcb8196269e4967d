"""pacman's local database: a directory a package, with `desc` and `files`.

Source: alpm's local database (alpm-db-desc and alpm-db-files): `%FIELD%`, its lines, a blank line.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sidelight.errors import DamagedError, LimitError
from sidelight.inventory.dependencies.declarations import Declaration
from sidelight.inventory.protocol import MAX_OWNED, REMARK_LIMIT, Extraction, Wants, unfit
from sidelight.inventory.purl import distro_of, format_purl, namespace_of
from sidelight.model import Package
from sidelight.vendors import supplier

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidelight.inventory.protocol import Machine, WantedFile

_PATH = re.compile(r"var/lib/pacman/local/[^/]+/(?:desc|files)")

_CONSTRAINT = re.compile(r"[<>=].*")
_MOST_LINES = 100  # of one field but the files; a package may have several licences


class PacmanLocal:
    """Installed packages, and from `files` what they own."""

    name = "os/pacman"
    wants = Wants(
        names=frozenset(("desc", "files")), confirm=lambda path: _PATH.fullmatch(path) is not None
    )

    def extract(self, file: WantedFile, machine: Machine) -> Extraction:
        """One package. Raises DamagedError where it has no name or version."""
        where = f"/{file.path}"
        fields = parse(file.read())
        directory, _, base_name = file.path.rpartition("/")
        if base_name == "files":
            found = Extraction(owner=directory)
            found.own(where, {name for name in fields.get("FILES", ()) if name})
            return found
        name, version, arch, base, licence, packager = (
            " ".join(fields.get(key, ())[:_MOST_LINES])
            for key in ("NAME", "VERSION", "ARCH", "BASE", "LICENSE", "PACKAGER")
        )
        if not name or not version:
            raise DamagedError("a package without a name or a version", where=where)
        if fault := unfit(name, version, arch, base):
            raise LimitError(fault, where=where)
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
            path=where,
            purl=format_purl("alpm", namespace, name, version, qualifiers),
            arch=arch,
            source_name=base or name,
            source_version=version,
            vendor=packager[:REMARK_LIMIT],
            licence=licence[:REMARK_LIMIT],
        )
        found = Extraction(packages=[package])
        local = directory.rpartition("/")[0]
        provides, requires = (_names(fields.get(key, ())) for key in ("PROVIDES", "DEPENDS"))
        found.declared = [(0, Declaration((name, *provides), requires, local))]
        if directory.rpartition("/")[2] == f"{name}-{version}":
            # Not what was built on the machine itself (from the AUR), or is signed by nobody.
            unsigned = fields.get("VALIDATION") == ["none"]
            if not unsigned and not supplier("alpm", packager, version, machine.os):
                found.installed = {directory}
        else:
            found.note(where, "pacman would refuse this package: its directory is called otherwise")
        return found


def _names(lines: Iterable[str]) -> tuple[str, ...]:
    """The names of `glibc>=2.38`, `libcurl.so=4-64`."""
    return tuple(filter(None, (_CONSTRAINT.sub("", line) for line in lines)))


def parse(data: bytes) -> dict[str, list[str]]:
    """Field -> its lines. Raises LimitError where there are too many."""
    if data.count(b"\n") > MAX_OWNED:
        raise LimitError(f"more than {MAX_OWNED} lines")
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
