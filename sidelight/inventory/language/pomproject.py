"""A Maven project's own coordinates and the properties that its values are written with.

Source: Maven's POM reference ("Project inheritance", "Properties"), and its page on versions that
are given to the build (`${revision}${sha1}${changelist}`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sidelight.errors import DamagedError
from sidelight.inventory.language.safe_parsers import parse_xml

if TYPE_CHECKING:
    from collections.abc import Iterator
    from xml.etree.ElementTree import Element

_PROPERTY: Final = re.compile(r"\$\{([^${}]+)\}")
_ROUNDS: Final = 8  # properties of properties
_VALUE_LIMIT: Final = 1024  # characters of an interpolated value


def project(data: bytes) -> Element:
    """The root of a pom.xml. Raises DamagedError for another document, LimitError."""
    root = parse_xml(data)
    if tag(root) != "project":
        raise DamagedError("no pom.xml: its root is not a project")
    return root


def own_coordinates(root: Element, properties: dict[str, str]) -> tuple[str, str, str]:
    """(group, artifact, version), inherited where need be; empty what the file does not have."""
    group, artifact, version = coordinates(root, properties)
    parent_group, _, parent_version = coordinates(child(root, "parent"), properties)
    found = (group or parent_group, artifact, version or parent_version)
    group, artifact, version = ("" if "${" in value else value for value in found)
    return group, artifact, version


def properties_of(root: Element) -> dict[str, str]:
    """Properties by name, the project's own coordinates among them."""
    values = {tag(item): (item.text or "").strip() for item in children(child(root, "properties"))}
    parent = child(root, "parent")
    for key in ("groupId", "artifactId", "version"):
        inherited = text(parent, key) if key != "artifactId" else ""
        value = text(root, key) or inherited
        for prefix in ("project.", "pom.", ""):
            values.setdefault(prefix + key, value)
        for prefix in ("project.parent.", "parent.", "pom.parent."):
            values.setdefault(prefix + key, text(parent, key))
    return values


def coordinates(element: Element | None, properties: dict[str, str]) -> tuple[str, str, str]:
    """(group, artifact, version) as one element has them, properties filled in."""
    group, artifact, version = (
        filled(text(element, key), properties) for key in ("groupId", "artifactId", "version")
    )
    return group, artifact, version


def filled(value: str, properties: dict[str, str]) -> str:
    """`value` with its properties; those that are not known stay."""
    for _ in range(_ROUNDS):
        if "${" not in value or len(value) > _VALUE_LIMIT:
            break
        new = _PROPERTY.sub(lambda match: properties.get(match[1], match[0])[:256], value)
        if new == value:
            break
        value = new
    return value


def tag(element: Element) -> str:
    """An element's name without its namespace."""
    name = element.tag if isinstance(element.tag, str) else ""
    return name.rpartition("}")[2]


def children(element: Element | None) -> Iterator[Element]:
    """The elements within; nothing for None."""
    yield from element if element is not None else ()


def child(element: Element | None, name: str) -> Element | None:
    """The first element of this name within."""
    return next((item for item in children(element) if tag(item) == name), None)


def text(element: Element | None, name: str) -> str:
    """The text of the first element of this name within; empty where there is none."""
    found = child(element, name)
    return (found.text or "").strip() if found is not None else ""
