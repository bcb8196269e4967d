"""apk's database of installed packages: lib/apk/db/installed.

Source: apk-v2's index format (one letter, a colon, a value; a blank line ends a package), with
`F:` a directory and `R:` a file in it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sidelight.inventory.protocol import MAX_OWNED, MAX_PACKAGES, Extraction, Wants
from sidelight.inventory.purl import distro_of, format_purl, namespace_of
from sidelight.model import Package

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.inventory.protocol import Machine, WantedFile
    from sidelight.model import OperatingSystem

_EMPTY_LINES = re.compile(r"\n{2,}")


class ApkInstalled:
    """Installed packages with their origin, licence and files."""

    name = "os/apk"
    wants = Wants(
        paths=frozenset(("lib/apk/db/installed", "usr/lib/apk/db/installed")), limit=64 << 20
    )

    def extract(self, file: WantedFile, machine: Machine) -> Extraction:
        """All packages. A stanza without a name or version is a Problem."""
        return parse_installed(file.read(), f"/{file.path}", machine.os)


def parse_installed(data: bytes, path: str, system: OperatingSystem) -> Extraction:
    """The packages of an `installed` file, and the paths that they own."""
    found = Extraction()
    namespace, distro = namespace_of(system, "alpine"), distro_of(system)
    text = data.decode("utf-8", "surrogateescape")
    if "\0" in text:
        found.note(path, "zero bytes in a text file: it is damaged")
    for stanza in _stanzas(text):
        if len(found.packages) >= MAX_PACKAGES or len(found.owned) > MAX_OWNED:
            found.note(path, "more packages or files than any system has: the rest is left out")
            break
        fields = _fields(stanza, found.owned)
        name, version = fields.get("P", ""), fields.get("V", "")
        if not name or not version:
            shown = name or stanza.strip()[:40]
            found.note(path, f"{shown!r}: a package without name or version")
            continue
        arch, origin = fields.get("A", ""), fields.get("o", "") or name
        upstream = origin if origin != name else ""
        qualifiers = (("arch", arch), ("distro", distro), ("upstream", upstream))
        found.packages.append(
            Package(
                type="apk",
                name=name,
                version=version,
                path=path,
                purl=format_purl("apk", namespace, name, version, qualifiers),
                arch=arch,
                source_name=origin,
                source_version=version,
                vendor=fields.get("m", ""),
                licence=fields.get("L", ""),
            )
        )
    return found


def _stanzas(text: str) -> Iterator[str]:
    start = 0
    for empty in _EMPTY_LINES.finditer(text):
        if empty.start() > start:
            yield text[start : empty.start()]
        start = empty.end()
    if text[start:].strip():
        yield text[start:]


def _fields(stanza: str, owned: set[str]) -> dict[str, str]:
    """The one-line fields; the files are added to `owned`."""
    fields: dict[str, str] = {}
    directory = ""
    for line in stanza.split("\n"):
        key, value = line[:2], line[2:].rstrip("\r")
        if key == "R:":
            owned.add(directory + value)
        elif key == "F:":
            directory = value + "/" if value else ""
        elif line[1:2] == ":":
            fields[key[0]] = value.strip()
    return fields
