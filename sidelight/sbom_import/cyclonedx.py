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
_COMPLETE: Final = "complete"
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
    _add_dependencies(contents, document)
    return contents


def _add_dependencies(contents: BillContents, document: Mapping[str, object]) -> None:
    """List what requires what, and whether the document is complete."""
    for item in mappings(document.get("dependencies")):
        targets = contents.requires.setdefault(text(item.get("ref")), [])
        targets += _references(item.get("dependsOn"))
    contents.known = {item.reference for item in contents.components if item.is_own}
    for item in mappings(document.get("compositions")):
        aggregate = text(item.get("aggregate"))
        listed = _references(item.get("dependencies"))
        if aggregate == _COMPLETE:
            contents.known.update(listed)
        elif aggregate.startswith(_INCOMPLETE) and (item.get("assemblies") or not listed):
            contents.is_incomplete = True


def _references(value: object) -> list[str]:
    """Return a list's references; in XML each is an element."""
    items = value if isinstance(value, list) else ()
    found = (text(item.get("ref")) if isinstance(item, dict) else text(item) for item in items)
    return [reference for reference in found if reference]


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
        reference=text(element.get("bom-ref")),
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
