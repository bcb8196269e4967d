"""CycloneDX 1.4 to 1.7, decoded, as `BillContents`.

Source: the specification's JSON schemas. Members of another type than the schema's are as absent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.errors import DamagedError
from sidelight.json_texts import mapping_of, mappings, text
from sidelight.sbom_import.bill_contents import MAX_PROPERTIES, BillContents, ListedComponent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

VERSIONS: Final = ("1.4", "1.5", "1.6", "1.7")
_INCOMPLETE: Final = "incomplete"  # and with a reason behind it, as `incomplete_third_party_only`


def contents_of(document: Mapping[str, object]) -> BillContents:
    """List a document's components. Raises DamagedError, LimitError."""
    contents = BillContents()
    version = text(document.get("specVersion"))
    if version not in VERSIONS:
        what = f"CycloneDX {version[:20] or 'of an unknown version'}: read as {VERSIONS[-1]}"
        contents.remarks.append(what)
    if "components" in document and not isinstance(document["components"], list):
        raise DamagedError("components is not a list")
    metadata = mapping_of(document.get("metadata"))
    subject = mapping_of(metadata.get("component"))
    contents.subject = [*_pairs(metadata.get("properties")), *_pairs(subject.get("properties"))]
    if text(subject.get("type")) == "operating-system" and text(subject.get("name")):
        contents.add(_component(subject))
    waiting = [*mappings(subject.get("components")), *mappings(document.get("components"))]
    waiting.reverse()
    while waiting:  # not recursive: components are nested as deeply as a document likes
        element = waiting.pop()
        contents.add(_component(element))
        waiting += reversed(mappings(element.get("components")))
    contents.is_incomplete = any(
        text(item.get("aggregate")).startswith(_INCOMPLETE)
        for item in mappings(document.get("compositions"))
    )
    return contents


def _component(element: Mapping[str, object]) -> ListedComponent:
    properties: dict[str, str] = {}
    for name, value in _pairs(element.get("properties")):
        properties.setdefault(name, value)
    occurrences = mappings(mapping_of(element.get("evidence")).get("occurrences"))
    supplier = text(mapping_of(element.get("supplier")).get("name"))
    return ListedComponent(
        name=text(element.get("name")),
        version=text(element.get("version")),
        purl=text(element.get("purl")),
        kind=text(element.get("type")),
        group=text(element.get("group")),
        publisher=text(element.get("publisher")) or supplier,
        licence=_licence(element),
        path=next((text(item.get("location")) for item in occurrences), ""),
        description=text(element.get("description")),
        properties=properties,
    )


def _licence(element: Mapping[str, object]) -> str:
    words = []
    for choice in mappings(element.get("licenses")):
        licence = mapping_of(choice.get("license"))
        words.append(
            text(choice.get("expression")) or text(licence.get("id")) or text(licence.get("name"))
        )
    return ", ".join(filter(None, words))


def _pairs(value: object) -> Iterator[tuple[str, str]]:
    for item in mappings(value[:MAX_PROPERTIES] if isinstance(value, list) else None):
        yield text(item.get("name")), text(item.get("value"))
