"""SPDX 2.3 as JSON, written package by package.

Source: the specification and its JSON schema. The machine is the package that the document
describes; it contains its operating system and its packages.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from sidelight import __version__
from sidelight.report.escape import printable
from sidelight.report.sbom.cyclonedx_vulnerabilities import web_address
from sidelight.report.sbom.json_elements import write_elements
from sidelight.report.sbom.licences import licence_of
from sidelight.report.sbom.machine_boms import (
    components,
    dependencies,
    named,
    package_properties,
    system_properties,
    utc,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TextIO

    from sidelight.model import Finding, Package
    from sidelight.report.sbom.machine_boms import BomComponent, MachineBom

DOCUMENT, MACHINE = "SPDXRef-DOCUMENT", "SPDXRef-Machine"
SYSTEM = "SPDXRef-OperatingSystem"  # by this name Trivy knows the system
PACKAGE = "SPDXRef-Package-"
NO_ASSERTION: Final = "NOASSERTION"
NONE: Final = "NONE"
MOST_ADVISORIES: Final = 200  # of one package
_TOOL: Final = f"Tool: sidelight-{__version__}"


class _Texts:
    """The licences that are not expressions: each is kept once, under a reference."""

    def __init__(self) -> None:
        self._references: dict[str, str] = {}

    def reference(self, text: str) -> str:
        return self._references.setdefault(text, f"LicenseRef-{len(self._references) + 1}")

    def documents(self) -> Iterator[dict[str, object]]:
        for text, reference in self._references.items():
            yield {"licenseId": reference, "name": text, "extractedText": text}


def write_spdx(bom: MachineBom, file: TextIO) -> None:
    """Write a document in ASCII."""
    texts = _Texts()
    file.write("{\n")
    file.write(",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in _head(bom)))
    _write_list(file, "packages", _packages(bom, texts))
    _write_list(file, "relationships", _relationships(bom))
    _write_list(file, "hasExtractedLicensingInfos", texts.documents())
    file.write("\n}\n")


def _write_list(file: TextIO, name: str, items: Iterator[dict[str, object]]) -> None:
    file.write(f",\n{json.dumps(name)}: ")
    write_elements(file, items)


def _head(bom: MachineBom) -> Iterator[tuple[str, object]]:
    named_by = (bom.account, "EC2", bom.instance, bom.image)
    name = "/".join(filter(None, named_by)) if bom.instance else bom.name
    yield "spdxVersion", "SPDX-2.3"
    yield "dataLicense", "CC0-1.0"
    yield "SPDXID", DOCUMENT
    yield "name", named(name)
    yield "documentNamespace", f"urn:uuid:{bom.serial_number}"
    yield "creationInfo", {"created": utc(bom.created_at), "creators": [_TOOL]}
    yield "documentDescribes", [MACHINE]


def _packages(bom: MachineBom, texts: _Texts) -> Iterator[dict[str, object]]:
    yield _machine(bom)
    if bom.inventory.os.id:
        yield _system(bom)
    by_package: dict[Package, list[Finding]] = {}
    for finding in bom.findings or ():
        by_package.setdefault(finding.package, []).append(finding)
    for component in components(bom.inventory):
        yield _package(component, by_package.get(component.package, []), texts)


def _common(name: str, reference: str, purpose: str) -> dict[str, object]:
    return {
        "SPDXID": reference,
        "name": named(name),
        "downloadLocation": NO_ASSERTION,
        "filesAnalyzed": False,
        "licenseConcluded": NO_ASSERTION,
        "licenseDeclared": NO_ASSERTION,
        "copyrightText": NO_ASSERTION,
        "primaryPackagePurpose": purpose,
    }


def _machine(bom: MachineBom) -> dict[str, object]:
    return {
        **_common(bom.name, MACHINE, "DEVICE"),
        "annotations": [
            {
                "annotationDate": utc(bom.created_at),
                "annotationType": "OTHER",
                "annotator": _TOOL,
                "comment": f"{name}: {printable(value)}",
            }
            for name, value in bom.properties()
        ],
    }


def _system(bom: MachineBom) -> dict[str, object]:
    system = bom.inventory.os
    package = _common(system.id, SYSTEM, "OPERATING-SYSTEM")
    if version := printable(system.version_id):
        package["versionInfo"] = version
    if system.pretty_name:
        package["description"] = printable(system.pretty_name)
    if pairs := [f"{name}={printable(value)}" for name, value in system_properties(system)]:
        package["comment"] = "\n".join(pairs)
    return package


def _package(component: BomComponent, findings: list[Finding], texts: _Texts) -> dict[str, object]:
    package = component.package
    document = _common(package.name, PACKAGE + component.reference, "LIBRARY")
    if package.version:
        document["versionInfo"] = printable(package.version)
    if package.path:
        found = f"{component.technique}: {printable(package.path)}"
        document["sourceInfo"] = found
    pairs = [f"{name}={printable(value)}" for name, value in package_properties(package)]
    if package.vendor:
        pairs.append(f"sidelight:vendor={printable(package.vendor)}")
    if licence := licence_of(package.licence):
        declared = licence.expression or texts.reference(licence.name)
        document["licenseDeclared"] = declared
        if declared != package.licence:
            pairs.append(f"sidelight:licence={printable(package.licence)}")
    if pairs:
        document["comment"] = "\n".join(pairs)
    if references := list(_references(component, findings)):
        document["externalRefs"] = references
    return document


def _references(component: BomComponent, findings: list[Finding]) -> Iterator[dict[str, object]]:
    if component.purl:
        yield {
            "referenceCategory": "PACKAGE-MANAGER",
            "referenceType": "purl",
            "referenceLocator": component.purl,
        }
    for finding in findings[:MOST_ADVISORIES]:
        address = next(filter(None, map(web_address, finding.references)), "")
        if address:
            yield {
                "referenceCategory": "SECURITY",
                "referenceType": "advisory",
                "referenceLocator": address,
                "comment": f"{printable(finding.vulnerability)} {finding.severity.value}",
            }


def _relationships(bom: MachineBom) -> Iterator[dict[str, object]]:
    yield _relationship(DOCUMENT, "DESCRIBES", MACHINE)
    if bom.inventory.os.id:
        yield _relationship(MACHINE, "CONTAINS", SYSTEM)
    for component in components(bom.inventory):
        yield _relationship(MACHINE, "CONTAINS", PACKAGE + component.reference)
    for reference, requires in dependencies(bom.inventory):
        yield from _requirements(PACKAGE + reference, requires)


def _requirements(element: str, requires: Sequence[str] | None) -> Iterator[dict[str, object]]:
    """Yield what a package requires; NONE where that is known to be nothing."""
    if requires is None:
        yield _relationship(element, "DEPENDS_ON", NO_ASSERTION)
    elif not requires:
        yield _relationship(element, "DEPENDS_ON", NONE)
    else:
        for reference in requires:
            yield _relationship(element, "DEPENDS_ON", PACKAGE + reference)


def _relationship(element: str, kind: str, related: str) -> dict[str, object]:
    return {
        "spdxElementId": element, "relationshipType": kind, "relatedSpdxElement": related,
    }  # fmt: skip
