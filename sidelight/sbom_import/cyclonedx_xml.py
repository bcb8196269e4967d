"""CycloneDX as XML: its elements as the values that the JSON document would have.

`safe_parsers.parse_xml` refuses declarations, entities and external documents.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sidelight.errors import LimitError, NotRecognisedError
from sidelight.inventory.language.safe_parsers import parse_xml

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_ROOT: Final = re.compile(r"\{http://cyclonedx\.org/schema/bom/([0-9.]{1,8})\}bom")
_LISTS: Final = frozenset(
    {"components", "properties", "licenses", "compositions", "occurrences", "dependencies",
     "assemblies"}
)  # fmt: skip
# Elements whose children are members.
_OBJECTS: Final = frozenset(
    {"component", "metadata", "supplier", "evidence", "license", "composition", "occurrence"}
)
_MAX_DEPTH: Final = 64


def document_of(data: bytes) -> dict[str, object]:
    """Return the document as decoded JSON would be. Raises DamagedError, LimitError.

    Raises NotRecognisedError where the root is not CycloneDX's.
    """
    root = parse_xml(data)
    match = _ROOT.fullmatch(root.tag)
    if match is None:
        raise NotRecognisedError(f"XML whose root is {root.tag[:80]!r}, not a CycloneDX bom")
    return {"bomFormat": "CycloneDX", "specVersion": match[1], **_members(root, 0)}


def _members(element: Element, depth: int) -> dict[str, object]:
    if depth > _MAX_DEPTH:
        raise LimitError(f"elements nested more than {_MAX_DEPTH} deep")
    found: dict[str, object] = dict(element.attrib)
    for child in element:
        name = child.tag.rpartition("}")[2]
        if name in _LISTS:
            found[name] = [_item(item, depth + 1) for item in child]
        elif name in _OBJECTS:
            found[name] = _members(child, depth + 1)
        else:
            found[name] = (child.text or "").strip()
    return found


def _item(element: Element, depth: int) -> dict[str, object]:
    """Return an element of a list; a licence is a choice in JSON, a property has its text."""
    name = element.tag.rpartition("}")[2]
    if name == "property":
        return {"name": element.get("name", ""), "value": (element.text or "").strip()}
    if name == "dependency":
        return {"ref": element.get("ref", ""), "dependsOn": [item.get("ref") for item in element]}
    if name == "expression":
        return {"expression": (element.text or "").strip()}
    members = _members(element, depth)
    return {"license": members} if name == "license" else members
