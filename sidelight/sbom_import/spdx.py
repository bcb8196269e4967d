"""SPDX 2.3 (and 2.2), decoded JSON, as `BillContents`.

Source: the specification's JSON schema. An operating system is a package of that purpose, or one
with Trivy's name for it. Sidelight's own documents have properties as lines of the comment, Trivy's
as annotations.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sidelight.errors import DamagedError, UnsupportedError
from sidelight.json_texts import mappings, text
from sidelight.sbom_import.bill_contents import MAX_PROPERTIES, BillContents, ListedComponent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

VERSIONS: Final = ("SPDX-2.2", "SPDX-2.3")
_SYSTEM: Final = "SPDXRef-OperatingSystem"
_DOCUMENT: Final = "SPDXRef-DOCUMENT"
_IMAGES: Final = ("pkg:oci/", "pkg:docker/")
_NOTHING: Final = frozenset({"NOASSERTION", "NONE"})
# Trivy: `built package from: openssl 3.0.11-1~deb12u2`.
_BUILT_FROM: Final = re.compile(r"built package from: (\S.*)")
# Syft: `acquired package info from DPKG DB: /var/lib/dpkg/status`; Sidelight: `TECHNIQUE: /path`.
_READ_FROM: Final = re.compile(
    r"(?:acquired package info from [^:]*|manifest-analysis|binary-analysis): (/[^,]*)"
)
# Syft writes `name (address)` for `name <address>`, as the specification does.
_ADDRESS: Final = re.compile(r" \(([^()\s@]++@[^()\s]++)\)$")
_SUPPLIER: Final = re.compile(r"(?:Organization|Person):\s*+(.*)", re.DOTALL)


def contents_of(document: Mapping[str, object]) -> BillContents:
    """List a document's packages. Raises DamagedError, LimitError, UnsupportedError."""
    version = text(document.get("spdxVersion"))
    if not version.startswith("SPDX-2."):
        raise UnsupportedError(f"{version[:20]!r}: SPDX 2.3 is read")
    contents = BillContents()
    if version not in VERSIONS:
        contents.remarks.append(f"{version[:20]}: read as {VERSIONS[-1]}")
    packages = document.get("packages", [])
    if not isinstance(packages, list):
        raise DamagedError("packages is not a list")
    described = set(_described(document))
    for package in mappings(packages):
        component = _component(package)
        is_subject = text(package.get("SPDXID")) in described
        if is_subject:
            contents.subject += _annotations(package)
        if not (is_subject and component.purl.startswith(_IMAGES)):  # the whole, not a package
            contents.add(component)
    _add_dependencies(contents, document)
    contents.is_incomplete = ("sidelight:status", "partial") in contents.subject
    return contents


def _add_dependencies(contents: BillContents, document: Mapping[str, object]) -> None:
    """List what requires what: A DEPENDS_ON B, and B DEPENDENCY_OF A. NONE says that it is none."""
    for item in mappings(document.get("relationships")):
        ends = text(item.get("spdxElementId")), text(item.get("relatedSpdxElement"))
        kind = item.get("relationshipType")
        if kind == "DEPENDS_ON":
            source, target = ends
        elif kind == "DEPENDENCY_OF":
            target, source = ends
        else:
            continue
        if target == "NONE":
            contents.known.add(source)
        if target != "NOASSERTION":
            contents.requires.setdefault(source, []).append(target)


def _described(document: Mapping[str, object]) -> Iterator[str]:
    listed = document.get("documentDescribes")
    yield from map(text, listed if isinstance(listed, list) else ())
    relations = document.get("relationships")
    for item in relations if isinstance(relations, list) else ():
        if (
            isinstance(item, dict)
            and item.get("relationshipType") == "DESCRIBES"
            and item.get("spdxElementId") == _DOCUMENT
        ):
            yield text(item.get("relatedSpdxElement"))


def _component(package: Mapping[str, object]) -> ListedComponent:
    info = text(package.get("sourceInfo"))
    built, read = _BUILT_FROM.fullmatch(info), _READ_FROM.fullmatch(info)
    supplier = _SUPPLIER.fullmatch(text(package.get("supplier")))
    licences = [text(package.get(key)) for key in ("licenseDeclared", "licenseConcluded")]
    properties = dict(reversed([*_comment(package), *_annotations(package)]))
    return ListedComponent(
        name=text(package.get("name")),
        version=text(package.get("versionInfo")),
        purl=_purl(package),
        kind=_kind(package),
        publisher=_ADDRESS.sub(r" <\1>", supplier[1]) if supplier else "",
        licence=next((item for item in licences if item and item not in _NOTHING), ""),
        path=read[1] if read else "",
        description=text(package.get("description")),
        built_from=built[1] if built else "",
        properties=properties,
        reference=text(package.get("SPDXID")),
    )


def _kind(package: Mapping[str, object]) -> str:
    purpose = text(package.get("primaryPackagePurpose"))
    if purpose == "OPERATING-SYSTEM" or text(package.get("SPDXID")).startswith(_SYSTEM):
        return "operating-system"
    return purpose.lower() or "library"


def _purl(package: Mapping[str, object]) -> str:
    for item in mappings(package.get("externalRefs")):
        if item.get("referenceType") == "purl":
            return text(item.get("referenceLocator"))
    return ""


def _comment(package: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield the lines `sidelight:name=value` of a comment."""
    for line in text(package.get("comment")).splitlines()[:MAX_PROPERTIES]:
        name, equals, value = line.partition("=")
        if equals and name.startswith("sidelight:"):
            yield name, value


def _annotations(package: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield the annotations `Name: value`; Trivy's names as in its CycloneDX documents."""
    listed = package.get("annotations")
    for item in mappings(listed[:MAX_PROPERTIES] if isinstance(listed, list) else None):
        name, colon, value = text(item.get("comment")).partition(": ")
        if colon:
            is_trivy = text(item.get("annotator")).startswith("Tool: trivy")
            yield (f"aquasecurity:trivy:{name}" if is_trivy else name), value
