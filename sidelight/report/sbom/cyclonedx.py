"""CycloneDX 1.4, 1.5 and 1.6 as sections, which the writers of JSON and XML stream.

Source: the specification's schemas. Members are in the order of the XML schemas, so that both
writers take the same values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from sidelight import __version__
from sidelight.report.escape import printable
from sidelight.report.sbom import licences, trivy_properties
from sidelight.report.sbom.cyclonedx_vulnerabilities import vulnerabilities
from sidelight.report.sbom.machine_boms import (
    components,
    dependencies,
    named,
    package_properties,
    system_properties,
    utc,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sidelight.model import OperatingSystem
    from sidelight.report.sbom.machine_boms import BomComponent, MachineBom

Element = dict[str, object]
MACHINE, SYSTEM = "machine", "operating-system"  # references; those of packages are hexadecimal
# Types of packages that are programs of their own.
_APPLICATIONS: Final = frozenset({"snap", "flatpak", "generic"})
OS_TYPES: Final = frozenset({"deb", "rpm", "apk", "alpm", "ebuild", "opkg"})


class BomSection(NamedTuple):
    """A member of the document: a value, or elements that are written one after another."""

    name: str
    value: Element | None
    elements: Iterable[Element] = ()


def sections(bom: MachineBom, version: str) -> Iterator[BomSection]:
    """Yield the members below the root, in the order of the XML schemas."""
    yield BomSection("metadata", _metadata(bom, version))
    yield BomSection("components", None, _components(bom, version))
    yield BomSection("dependencies", None, _dependencies(bom))
    yield BomSection("compositions", None, _compositions(bom))
    if bom.findings is not None:
        yield BomSection("vulnerabilities", None, vulnerabilities(bom, version))


def _metadata(bom: MachineBom, version: str) -> Element:
    tool: Element = {"vendor": "Sidelight", "name": "sidelight", "version": __version__}
    tools: object = [tool]
    # A type that Trivy reads: it refuses a whole document of a `device`.
    machine_type = "application" if version == "1.4" else "platform"
    if version != "1.4":
        component = {"type": "application", "name": "sidelight", "version": __version__}
        tools = {"components": [component]}
    return {
        "timestamp": utc(bom.created_at),
        "tools": tools,
        "component": {"type": machine_type, "bom-ref": MACHINE, "name": named(bom.name)},
        "properties": _properties(bom.properties()),
    }


def _properties(pairs: Iterable[tuple[str, str]]) -> list[Element]:
    return [{"name": name, "value": printable(value)} for name, value in pairs]


def _components(bom: MachineBom, version: str) -> Iterator[Element]:
    if bom.inventory.os.id:
        yield _system(bom.inventory.os)
    for component in components(bom.inventory):
        yield package_element(component, version)


def _system(system: OperatingSystem) -> Element:
    element: Element = {"type": SYSTEM, "bom-ref": SYSTEM, "name": named(system.id)}
    if version := printable(system.version_id):
        element["version"] = version
    if system.pretty_name:
        element["description"] = printable(system.pretty_name)
    if pairs := list(system_properties(system)):
        element["properties"] = _properties(pairs)
    return element


def package_element(component: BomComponent, version: str) -> Element:
    """Return the component of a package."""
    package = component.package
    element: Element = {
        "type": "application" if package.type in _APPLICATIONS else "library",
        "bom-ref": component.reference,
        "name": named(package.name),
        "version": printable(package.version),
    }
    if licence := licences.licence_of(package.licence):
        element["licenses"] = [_licence(licence)]
    if component.purl:
        element["purl"] = component.purl
    pairs = [*package_properties(package), *trivy_properties.of(package)]
    if licence and package.licence not in {licence.identifier or licence.expression, licence.name}:
        pairs.append(("sidelight:licence", package.licence))  # as the machine has it
    if package.vendor:
        element = {"type": element.pop("type"), "bom-ref": element.pop("bom-ref"),
                   "publisher": printable(package.vendor), **element}  # fmt: skip
    element["properties"] = _properties(pairs)
    if version != "1.4":
        element["evidence"] = _evidence(component)
    return element


def _licence(licence: licences.Licence) -> Element:
    if licence.identifier:
        return {"license": {"id": licence.identifier}}
    if licence.expression:
        return {"expression": licence.expression}
    return {"license": {"name": licence.name}}


def _evidence(component: BomComponent) -> Element:
    """Return the path, and how the package was found: its name and version are written there.

    1.6 allows a list of identities, too. Syft and Grype of early 2025 refuse such documents as a
    whole (github.com/anchore/grype/issues/2263), so it is the one object of 1.5.
    """
    method = {"technique": component.technique, "confidence": 1}
    identity = {"field": "purl" if component.purl else "name", "confidence": 1,
                "methods": [method]}  # fmt: skip
    evidence: Element = {"identity": identity}
    if component.package.path:
        evidence["occurrences"] = [{"location": printable(component.package.path)}]
    return evidence


def _dependencies(bom: MachineBom) -> Iterator[Element]:
    """Yield what is known: the machine has a system and packages, the system has its packages.

    A package has an element where it is known what it requires, an empty one where that is nothing:
    the specification takes the dependencies of one without an element as unknown.
    """
    of_machine: list[str] = []
    of_system: list[str] = []
    for component in components(bom.inventory):
        is_of_system = component.package.type in OS_TYPES and not component.package.layer
        own = of_system if bom.inventory.os.id and is_of_system else of_machine
        own.append(component.reference)
    if bom.inventory.os.id:
        yield {"ref": MACHINE, "dependsOn": [SYSTEM, *of_machine]}
        yield {"ref": SYSTEM, "dependsOn": of_system}
    else:
        yield {"ref": MACHINE, "dependsOn": of_machine}
    for reference, requires in dependencies(bom.inventory):
        if requires is not None:
            yield {"ref": reference, "dependsOn": requires}


def _compositions(bom: MachineBom) -> Iterator[Element]:
    """Yield whether all of the machine was read: a partial document must not look complete.

    And of which packages it is known what they require.
    """
    whole = "complete" if bom.inventory.status == "complete" else "incomplete"
    yield {"aggregate": whole, "assemblies": [MACHINE]}
    known: list[str] = []
    unknown: list[str] = []
    for reference, requires in dependencies(bom.inventory):
        (unknown if requires is None else known).append(reference)
    if known:
        yield {"aggregate": whole, "dependencies": known}
    if unknown:
        yield {"aggregate": "unknown", "dependencies": unknown}
