"""apk's database of installed packages: lib/apk/db/installed.

Source: apk-v2's index format (one letter, a colon, a value; a blank line ends a package), with
`F:` a directory and `R:` a file in it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sidelight.inventory.dependencies.declarations import Declaration
from sidelight.inventory.protocol import (
    MAX_OWNED,
    MAX_PACKAGES,
    MAX_PATH,
    REMARK_LIMIT,
    Extraction,
    Wants,
    unfit,
)
from sidelight.inventory.purl import distro_of, format_purl, namespace_of
from sidelight.model import Package, Problem
from sidelight.vendors import covered_paths, is_covered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sidelight.inventory.protocol import Machine, WantedFile
    from sidelight.model import OperatingSystem

_EMPTY_LINES = re.compile(r"\n{2,}")
# `so:libssl.so.3=3`, `busybox>=1.36`, `musl~1.2`, `!conflict`
_CONSTRAINT = re.compile(r"[<>=~]\S*")
_DATABASE = "/lib/apk/db/installed"
_BETWEEN_CHECKS = 1_000  # packages


class ApkInstalled:
    """Installed packages with their origin, licence and files."""

    name = "os/apk"
    wants = Wants(
        paths=frozenset(("lib/apk/db/installed", "usr/lib/apk/db/installed")), limit=64 << 20
    )

    def extract(self, file: WantedFile, machine: Machine) -> Extraction:
        """All packages. A stanza without a name or version is a Problem."""
        return parse_installed(file.read(), f"/{file.path}", machine.os, check_time=file.check_time)


def contradictions(packages: Iterable[Package]) -> list[Problem]:
    """A Problem for each root whose two databases list different packages.

    apk 3 has its database in /usr/lib/apk, older ones in /lib/apk. Both are in the inventory.
    """
    databases: dict[tuple[str, str], dict[str, set[tuple[str, str, str]]]] = {}
    for package in packages:
        if package.type == "apk":
            root = package.path.removesuffix(_DATABASE).removesuffix("/usr")
            listed = databases.setdefault((package.layer, root), {})
            identity = (package.name, package.version, package.arch)
            listed.setdefault(package.path, set()).add(identity)
    found = []
    for listed in databases.values():
        first, *others = sorted(listed)
        what = f"this database of apk lists other packages than {first}: both are in the inventory"
        found += [Problem(path, what) for path in others if listed[path] != listed[first]]
    return found


def parse_installed(
    data: bytes,
    path: str,
    system: OperatingSystem,
    *,
    check_time: Callable[[], None] = lambda: None,
) -> Extraction:
    """The packages of an `installed` file, and the paths that they own.

    Raises what `check_time` does.
    """
    found = Extraction()
    declared: list[tuple[int, Declaration]] = []
    namespace, distro = namespace_of(system, "alpine"), distro_of(system)
    text = data.decode("utf-8", "surrogateescape")
    if "\0" in text:
        found.note(path, "zero bytes in a text file: it is damaged")
    for count, stanza in enumerate(_stanzas(text)):
        if count % _BETWEEN_CHECKS == 0:
            check_time()
        if len(found.packages) >= MAX_PACKAGES:
            found.note(path, f"more than {MAX_PACKAGES} packages: the rest is left out")
            break
        if stanza.count("\n") > MAX_OWNED:
            found.note(path, f"a package of more than {MAX_OWNED} lines is left out")
            continue
        fields, files = _fields(stanza)
        name, version, vendor = (fields.get(key, "") for key in "PVm")
        if not name or not version:
            shown = name[:40] or stanza[:200].strip()[:40]
            found.note(path, f"{shown!r}: a package without name or version")
            continue
        if fault := unfit(name, version, fields.get("A", ""), fields.get("o", "")):
            found.note(path, fault)
            continue
        if is_covered("apk", vendor, version, system):
            found.own(path, covered_paths(files))
        arch, origin = fields.get("A", ""), fields.get("o", "") or name
        upstream = origin if origin != name else ""
        qualifiers = (("arch", arch), ("distro", distro), ("upstream", upstream))
        declared.append((len(found.packages), _declaration(name, fields)))
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
                vendor=vendor[:REMARK_LIMIT],
                licence=fields.get("L", "")[:REMARK_LIMIT],
            )
        )
    found.relate(path, declared)
    return found


def _declaration(name: str, fields: dict[str, str]) -> Declaration:
    """What the package provides (`p`, and its own name) and requires (`D`), versions aside."""
    provides, requires = (_CONSTRAINT.sub("", fields.get(key, "")).split() for key in "pD")
    return Declaration(
        (name, *provides), tuple(item for item in requires if not item.startswith("!"))
    )


def _stanzas(text: str) -> Iterator[str]:
    start = 0
    for empty in _EMPTY_LINES.finditer(text):
        if empty.start() > start:
            yield text[start : empty.start()]
        start = empty.end()
    if text[start:].strip():
        yield text[start:]


def _fields(stanza: str) -> tuple[dict[str, str], list[str]]:
    """The one-line fields, and the paths of the files."""
    fields: dict[str, str] = {}
    files: list[str] = []
    directory = ""
    for line in stanza.split("\n"):
        key, value = line[:2], line[2:].rstrip("\r")
        if key == "R:":
            if len(directory) + len(value) <= MAX_PATH:
                files.append(directory + value)
        elif key == "F:":
            directory = value + "/" if value else ""
        elif line[1:2] == ":":
            fields[key[0]] = value.strip()
    return fields, files
