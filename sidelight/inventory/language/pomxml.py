"""pom.xml: the dependencies that it names with a version of its own.

What only a parent or an imported bill of materials fixes cannot be known from this file and is left
out. Source: Maven's POM reference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.inventory.language import javaunpacked
from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.package_builder import Entry, PackageDetails, maven
from sidelight.inventory.language.pomproject import (
    child,
    children,
    coordinates,
    own_coordinates,
    project,
    properties_of,
    text,
)
from sidelight.inventory.protocol import WantedFile, Wants

if TYPE_CHECKING:
    from collections.abc import Iterator
    from xml.etree.ElementTree import Element

_UNSHIPPED: Final = frozenset({"test", "provided"})


def _parse(file: WantedFile) -> Iterator[Entry]:
    root = project(file.read())
    properties = properties_of(root)
    licences = " OR ".join(text(licence, "name") for licence in children(child(root, "licenses")))
    group, artifact, version = own_coordinates(root, properties)
    if group and artifact and version:
        yield maven(file.path, group, artifact, version, PackageDetails(licences))
    managed = {
        coordinates(item, properties)[:2]: coordinates(item, properties)[2]
        for item in children(child(child(root, "dependencyManagement"), "dependencies"))
    }
    for item in _dependencies(root):
        named = coordinates(item, properties)
        wanted = (named[2] or managed.get(named[:2], "")).strip("[]")
        if named[0] and named[1] and wanted and not set(wanted) & set("${,[]()"):
            scope = text(item, "scope")
            yield maven(
                file.path,
                named[0],
                named[1],
                wanted,
                PackageDetails(direct=True, dev=scope in _UNSHIPPED),
            )


def _dependencies(root: Element) -> Iterator[Element]:
    """The project's own, and those of the profiles that are active by default."""
    yield from children(child(root, "dependencies"))
    for profile in children(child(root, "profiles")):
        if text(child(profile, "activation"), "activeByDefault") == "true":
            yield from children(child(profile, "dependencies"))


EXTRACTOR: Final = GeneratorExtractor(
    "language/maven-pom",
    Wants(
        names=frozenset({"pom.xml"}),
        confirm=lambda path: not javaunpacked.is_unpacked(path),
        limit=8 << 20,
    ),
    _parse,
)
