"""Java archives that were unpacked: META-INF/maven/GROUP/ARTEFACT/ in a directory.

Servlet containers unpack web applications, and a class path may have directories of classes that
were archives once: their Maven files identify them as they do in an archive (javaidentity.py). A
pom.xml in there says what was built, and not what its dependencies became.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.javaproperties import pom_coordinates
from sidelight.inventory.language.package_builder import Entry, maven
from sidelight.inventory.language.pomproject import own_coordinates, project, properties_of
from sidelight.inventory.protocol import WantedFile, Wants

if TYPE_CHECKING:
    from collections.abc import Iterator

_POM_XML: Final = "pom.xml"
_POM_PROPERTIES: Final = "pom.properties"
_PLACE: Final = re.compile(r"(?:.*/)?META-INF/maven/([^/]+)/([^/]+)/pom\.(?:xml|properties)")


def is_unpacked(path: str) -> bool:
    """Whether a Maven file at `path` is of an unpacked archive, and not of a project."""
    return _PLACE.fullmatch(path) is not None


def _parse(file: WantedFile) -> Iterator[Entry]:
    place = _PLACE.fullmatch(file.path)
    if place is None:
        return
    if file.path.endswith(_POM_PROPERTIES):
        names = pom_coordinates(file.read())
    else:
        twin = file.sibling(_POM_PROPERTIES, limit=1 << 20)
        if twin is not None and pom_coordinates(twin)[2]:
            return
        root = project(file.read())
        names = own_coordinates(root, properties_of(root))
    group, artifact, version = names
    if version:
        yield maven(file.path, group or place[1], artifact or place[2], version)


EXTRACTOR: Final = GeneratorExtractor(
    "language/java-unpacked",
    Wants(names=frozenset({_POM_XML, _POM_PROPERTIES}), confirm=is_unpacked, limit=8 << 20),
    _parse,
)
