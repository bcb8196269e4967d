"""pom.xml: the dependencies that it names with a version of its own.

What only a parent or an imported bill of materials fixes cannot be told from this file and is left
out. Source: Maven's POM reference.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sidelight.errors import DamagedError
from sidelight.inventory.language.entry import Details, Entry, maven
from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.structured import parse_xml
from sidelight.inventory.protocol import WantedFile, Wants

if TYPE_CHECKING:
    from collections.abc import Iterator
    from xml.etree.ElementTree import Element

_PROPERTY: Final = re.compile(r"\$\{([^${}]+)\}")
_ROUNDS: Final = 8  # properties of properties
_VALUE_LIMIT: Final = 1024  # characters of an interpolated value
_UNSHIPPED: Final = frozenset({"test", "provided"})


def _parse(file: WantedFile) -> Iterator[Entry]:
    root = parse_xml(file.read())
    if _tag(root) != "project":
        raise DamagedError("no pom.xml: its root is no project")
    properties = _properties(root)
    licences = " OR ".join(
        _text(licence, "name") for licence in _children(_child(root, "licenses"))
    )
    own = _coordinates(root, properties)
    parent = _child(root, "parent")
    group = own[0] or _text(parent, "groupId")
    version = own[2] or _text(parent, "version")
    if group and own[1] and version and "${" not in group + own[1] + version:
        yield maven(file.path, group, own[1], version, Details(licences))
    managed = {
        _coordinates(item, properties)[:2]: _coordinates(item, properties)[2]
        for item in _children(_child(_child(root, "dependencyManagement"), "dependencies"))
    }
    for item in _dependencies(root):
        named = _coordinates(item, properties)
        wanted = (named[2] or managed.get(named[:2], "")).strip("[]")
        if named[0] and named[1] and wanted and not set(wanted) & set("${,[]()"):
            scope = _text(item, "scope")
            yield maven(
                file.path,
                named[0],
                named[1],
                wanted,
                Details(direct=True, dev=scope in _UNSHIPPED),
            )


def _dependencies(root: Element) -> Iterator[Element]:
    """The project's own, and those of the profiles that are active unless told otherwise."""
    yield from _children(_child(root, "dependencies"))
    for profile in _children(_child(root, "profiles")):
        if _text(_child(profile, "activation"), "activeByDefault") == "true":
            yield from _children(_child(profile, "dependencies"))


def _properties(root: Element) -> dict[str, str]:
    values = {
        _tag(item): (item.text or "").strip() for item in _children(_child(root, "properties"))
    }
    parent = _child(root, "parent")
    for key, tag in (("groupId", "groupId"), ("artifactId", "artifactId"), ("version", "version")):
        inherited = _text(parent, tag) if key != "artifactId" else ""
        value = _text(root, tag) or inherited
        for prefix in ("project.", "pom.", ""):
            values.setdefault(prefix + key, value)
        values.setdefault(f"project.parent.{key}", _text(parent, tag))
    return values


def _coordinates(element: Element, properties: dict[str, str]) -> tuple[str, str, str]:
    group, artifact, version = (
        _filled(_text(element, tag), properties) for tag in ("groupId", "artifactId", "version")
    )
    return group, artifact, version


def _filled(value: str, properties: dict[str, str]) -> str:
    for _ in range(_ROUNDS):
        if "${" not in value or len(value) > _VALUE_LIMIT:
            break
        filled = _PROPERTY.sub(lambda match: properties.get(match[1], match[0])[:256], value)
        if filled == value:
            break
        value = filled
    return value


def _tag(element: Element) -> str:
    tag = element.tag if isinstance(element.tag, str) else ""
    return tag.rpartition("}")[2]


def _children(element: Element | None) -> Iterator[Element]:
    yield from element if element is not None else ()


def _child(element: Element | None, tag: str) -> Element | None:
    return next((item for item in _children(element) if _tag(item) == tag), None)


def _text(element: Element | None, tag: str) -> str:
    found = _child(element, tag)
    return (found.text or "").strip() if found is not None else ""


EXTRACTOR: Final = GeneratorExtractor(
    "language/maven-pom", Wants(names=frozenset({"pom.xml"}), limit=8 << 20), _parse
)
