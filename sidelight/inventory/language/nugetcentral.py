"""NuGet: Directory.Packages.props (central package management) and paket.lock.

Source: NuGet's documentation ("Central Package Management"), Paket's of its lock file.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sidelight.errors import DamagedError
from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.installed import is_project
from sidelight.inventory.language.package_builder import Entry, PackageDetails, flat
from sidelight.inventory.language.safe_parsers import parse_xml
from sidelight.inventory.protocol import WantedFile, Wants

if TYPE_CHECKING:
    from collections.abc import Iterator
    from xml.etree.ElementTree import Element

_ITEMS: Final = frozenset(("PackageVersion", "GlobalPackageReference"))
_PROPERTY: Final = re.compile(r"\$\(([\w.-]+)\)")
_ROUNDS: Final = 4  # properties of properties
_VALUE_LIMIT: Final = 256  # characters of a version
_EXACT: Final = re.compile(r"\[?([0-9][\w.+-]*)\]?")
_SPEC: Final = re.compile(r" {4}([\w.-]+) \(([0-9][\w.+-]*)\)")


def _parse_props(file: WantedFile) -> Iterator[Entry]:
    root = parse_xml(file.read())
    if _tag(root) != "Project":
        raise DamagedError("no Directory.Packages.props: its root is not a Project")
    values = {
        _tag(item): (item.text or "").strip()
        for group in root.iter()
        if _tag(group) == "PropertyGroup"
        for item in group
    }
    for item in root.iter():
        if _tag(item) not in _ITEMS:
            continue
        name = item.get("Include") or item.get("Update") or ""
        inner = next((child.text or "" for child in item if _tag(child) == "Version"), "")
        match = _EXACT.fullmatch(_filled((item.get("Version") or inner).strip(), values))
        if name and match:  # a range, or what another file defines, is not a version
            yield flat(file.path, "nuget", name, match[1], PackageDetails(direct=True))


def _filled(value: str, values: dict[str, str]) -> str:
    for _ in range(_ROUNDS):
        if "$(" not in value or len(value) > _VALUE_LIMIT:
            break
        value = _PROPERTY.sub(lambda match: values.get(match[1], "")[:_VALUE_LIMIT], value)
    return value


def _tag(element: Element) -> str:
    name = element.tag if isinstance(element.tag, str) else ""
    return name.rpartition("}")[2]


def _parse_paket(file: WantedFile) -> Iterator[Entry]:
    """Packages are four columns in, what they need six; only the NUGET sections have packages."""
    section = ""
    for line in file.read().decode("utf-8-sig", "replace").splitlines():
        if line and not line.startswith(" "):
            section = line.strip()
        elif section == "NUGET" and (match := _SPEC.match(line)):
            yield flat(file.path, "nuget", match[1], match[2])


PROPS_EXTRACTOR: Final = GeneratorExtractor(
    "language/nuget-central",
    Wants(names=frozenset({"Directory.Packages.props"}), confirm=is_project, limit=8 << 20),
    _parse_props,
)
PAKET_EXTRACTOR: Final = GeneratorExtractor(
    "language/paket-lock",
    Wants(names=frozenset({"paket.lock"}), confirm=is_project, limit=8 << 20),
    _parse_paket,
)
