"""CycloneDX as XML, written element by element from the values of the JSON document.

Lists are elements with a child for each item; a few members are attributes, or have names of their
own. Texts are `printable`, and so have no character that XML 1.0 does not allow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape, quoteattr  # they write; nothing is parsed

from sidelight.report.sbom.cyclonedx import sections

if TYPE_CHECKING:
    from typing import TextIO

    from sidelight.report.sbom.machine_boms import MachineBom

# A list's name -> the name of its items.
_ITEMS: Final = {
    "components": "component", "properties": "property", "dependencies": "dependency",
    "compositions": "composition", "vulnerabilities": "vulnerability", "ratings": "rating",
    "advisories": "advisory", "affects": "target", "versions": "version", "methods": "method",
    "occurrences": "occurrence", "tools": "tool",
}  # fmt: skip
_ATTRIBUTES: Final = {
    "component": ("type", "bom-ref"), "dependency": ("ref",), "vulnerability": ("bom-ref",),
    "property": ("name",),
}  # fmt: skip
# Items that are references, not values.
_REFERENCES: Final = {
    "dependsOn": "dependency", "assemblies": "assembly", "dependencies": "dependency",
}  # fmt: skip


def write_xml(bom: MachineBom, file: TextIO, version: str) -> None:
    """Write a document in ASCII. Its memory does not grow with the number of packages."""
    space = f"http://cyclonedx.org/schema/bom/{version}"
    serial = f"urn:uuid:{bom.serial_number}"
    file.write('<?xml version="1.0" encoding="UTF-8"?>\n')
    file.write(f'<bom xmlns="{space}" serialNumber="{serial}" version="1">\n')
    for section in sections(bom, version):
        if section.value is not None:
            file.write(_element(section.name, section.value) + "\n")
            continue
        file.write(f"<{section.name}>\n")
        name = _ITEMS[section.name]
        file.writelines(_element(name, element) + "\n" for element in section.elements)
        file.write(f"</{section.name}>\n")
    file.write("</bom>\n")


def _element(name: str, value: object) -> str:
    if not isinstance(value, dict):
        return f"<{name}>{_text(value)}</{name}>"
    attributes = "".join(
        f" {key}={_quoted(value[key])}" for key in _ATTRIBUTES.get(name, ()) if key in value
    )
    if name == "property":
        return f"<{name}{attributes}>{_text(value['value'])}</{name}>"
    inner = "".join(
        _member(key, member)
        for key, member in value.items()
        if key not in _ATTRIBUTES.get(name, ())
    )
    return f"<{name}{attributes}>{inner}</{name}>"


def _member(key: str, value: object) -> str:
    if not isinstance(value, list):
        return _element(key, value)
    if key in _REFERENCES:
        items = "".join(f"<{_REFERENCES[key]} ref={_quoted(item)}/>" for item in value)
        return items if key == "dependsOn" else f"<{key}>{items}</{key}>"
    if key == "licenses":
        return f"<{key}>{''.join(_licence(item) for item in value)}</{key}>"
    return f"<{key}>{''.join(_element(_ITEMS[key], item) for item in value)}</{key}>"


def _licence(item: dict[str, object]) -> str:
    return "".join(_element(name, value) for name, value in item.items())


def _text(value: object) -> str:
    return escape(str(value)).encode("ascii", "xmlcharrefreplace").decode()


def _quoted(value: object) -> str:
    return quoteattr(str(value)).encode("ascii", "xmlcharrefreplace").decode()
