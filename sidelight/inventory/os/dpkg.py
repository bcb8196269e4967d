"""dpkg's database: /var/lib/dpkg/status, status.d (distroless images), and the file lists.

Sources: deb-control(5), dpkg-query(1) ("Package status"), deb-src-control(5) for `Source`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sidelight.inventory.protocol import MAX_PACKAGES, Extraction, Wants
from sidelight.inventory.purl import distro_of, format_purl, namespace_of
from sidelight.model import Package

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.inventory.protocol import Machine, WantedFile
    from sidelight.model import OperatingSystem

LIMIT = 64 << 20  # bytes; ten times the largest real one
_STATUS = "var/lib/dpkg/status"
_STATUS_D = "var/lib/dpkg/status.d/"
_INFO = "var/lib/dpkg/info/"
_MAX_UPDATES = 10_000
_OPKG = ("usr/lib/opkg", "var/lib/opkg")

# The purl namespace where no release file names the system.
_FALLBACKS = {"deb": "debian", "opkg": "openwrt"}

# "not-installed" and "config-files" have no files of the package on the disk. Every other state
# has: dpkg-query lists them, and so does a scanner.
_ABSENT = frozenset((b"not-installed", b"config-files"))

# The fields that are kept, found in a whole stanza at once. `Status` goes first in most stanzas.
_FIELD = re.compile(
    rb"^(Package|Status|Version|Architecture|Source|Maintainer)[ \t]*:[ \t]*([^\n]*)",
    re.MULTILINE | re.IGNORECASE,
)
# One character class, no group: a group that repeats costs memory for each time.
_BLANK_LINES = re.compile(rb"\n[ \t\r\n]*\n")
_SOURCE = re.compile(r"(\S+)(?:\s+\(([^()]*)\))?").match


def _text(data: bytes) -> str:
    return data.strip().decode("utf-8", "surrogateescape")


class DpkgStatus:
    """Installed packages from `status`, or from one file of `status.d`."""

    name = "os/dpkg"
    wants = Wants(
        paths=frozenset((_STATUS,)),
        directories=frozenset((_STATUS_D.rstrip("/"),)),
        limit=LIMIT,
    )

    def extract(self, file: WantedFile, machine: Machine) -> Extraction:
        """All installed packages. A stanza without a name or version is a Problem."""
        if file.path.endswith(".md5sums"):
            return Extraction(owned=_md5sums(file.read()))
        if file.path != _STATUS:
            return parse_status(file.read(), f"/{file.path}", machine.os, needs_status=False)
        return parse_status(with_updates(file), f"/{file.path}", machine.os)


def with_updates(file: WantedFile) -> bytes:
    """The status file, then the stanzas that dpkg wrote since, which replace those before them.

    A running dpkg writes each change of state to updates/0000, 0001, … and folds them into the
    status file at the end; a snapshot taken in between has both, and dpkg-query reads both.
    """
    parts = [file.read()]
    for number in range(_MAX_UPDATES):
        update = file.sibling(f"updates/{number:04}", limit=1 << 20)
        if update is None:
            break
        parts.append(update)
    return b"\n\n".join(parts)


class DpkgLists:
    """Which paths dpkg's packages own: /var/lib/dpkg/info/*.list."""

    name = "os/dpkg-lists"
    wants = Wants(
        directories=frozenset((_INFO.rstrip("/"), *(f"{path}/info" for path in _OPKG))),
        confirm=lambda path: path.endswith(".list"),
    )

    def extract(self, file: WantedFile, machine: Machine) -> Extraction:  # noqa: ARG002 - protocol
        """The owned paths, without the leading slash."""
        text = file.read().decode("utf-8", "surrogateescape")
        return Extraction(owned={line[1:] for line in text.split("\n") if len(line) > 2})


class OpkgStatus:
    """OpenWrt's and Yocto's opkg: the same format, beside its own lists."""

    name = "os/opkg"
    wants = Wants(paths=frozenset(f"{path}/status" for path in _OPKG))

    def extract(self, file: WantedFile, machine: Machine) -> Extraction:
        """All installed packages."""
        return parse_status(file.read(), f"/{file.path}", machine.os, kind="opkg")


def _md5sums(data: bytes) -> set[str]:
    """`<32 hexadecimal digits>  usr/bin/foo`."""
    text = data.decode("utf-8", "surrogateescape")
    return {line[34:] for line in text.split("\n") if len(line) > 34}


def parse_status(
    data: bytes,
    path: str,
    system: OperatingSystem,
    *,
    kind: str = "deb",
    needs_status: bool = True,
) -> Extraction:
    """The installed packages of a deb822 file; the last stanza of a name and architecture counts.

    `needs_status`: whether a stanza without `Status` counts as not installed, as in the one
    database; in status.d a stanza is there because its package is. `kind`: `deb` or `opkg`.
    """
    found = Extraction()
    namespace, distro = namespace_of(system, _FALLBACKS[kind]), distro_of(system)
    packages: dict[tuple[bytes, bytes], Package | None] = {}
    if b"\0" in data:
        found.note(path, "zero bytes in a text file: it is damaged")
    for stanza in _stanzas(data):
        if len(packages) >= MAX_PACKAGES:
            found.note(path, f"more than {MAX_PACKAGES} packages: the rest is left out")
            break
        fields = {key.lower(): value for key, value in _FIELD.findall(stanza)}
        if not fields:
            if stanza.strip():
                found.note(path, "a stanza without any known field")
            continue
        key = (fields.get(b"package", b""), fields.get(b"architecture", b""))
        status = fields.get(b"status", b"").split()
        if (status and status[-1] in _ABSENT) or (not status and needs_status):
            _forget(packages, key)
            continue
        packages[key] = package = _package(fields, path, kind, namespace, distro)
        if package is None:
            name = _text(key[0]) or "a stanza"
            found.note(path, f"{name} has no name or no version")
    found.packages = [package for package in packages.values() if package is not None]
    return found


def _forget(packages: dict[tuple[bytes, bytes], Package | None], key: tuple[bytes, bytes]) -> None:
    """An absent package replaces what an earlier stanza said; a purged one has no architecture."""
    packages[key] = None
    if not key[1]:
        same = [other for other in packages if other[0] == key[0] and other[1]]
        if len(same) == 1:
            packages[same[0]] = None


def _stanzas(data: bytes) -> Iterator[bytes]:
    start = 0
    for blank in _BLANK_LINES.finditer(data):
        yield data[start : blank.start()]
        start = blank.end()
    yield data[start:]


def _package(
    fields: dict[bytes, bytes], path: str, kind: str, namespace: str, distro: str
) -> Package | None:
    name, version = _text(fields.get(b"package", b"")), _text(fields.get(b"version", b""))
    if not name or not version:
        return None
    arch = _text(fields.get(b"architecture", b""))
    source_name, source_version, upstream = name, version, ""
    match = _SOURCE(_text(fields.get(b"source", b"")))
    if match:
        source_name, source_version = match[1], (match[2] or version).strip()
        upstream = f"{source_name}@{source_version}" if match[2] else source_name
    qualifiers = (("arch", arch), ("distro", distro), ("upstream", upstream))
    return Package(
        type=kind,
        name=name,
        version=version,
        path=path,
        purl=format_purl(kind, namespace, name, version, qualifiers),
        arch=arch,
        source_name=source_name,
        source_version=source_version,
        vendor=_text(fields.get(b"maintainer", b"")),
    )
