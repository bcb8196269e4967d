"""CycloneDX 1.6 as VEX: the packages with findings, and an analysis of each vulnerability."""

from __future__ import annotations

import json
from dataclasses import replace
from shutil import copyfileobj
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from sidelight import __version__
from sidelight.model import Status
from sidelight.report.formats.finding_statements import document_number
from sidelight.report.formats.scanned_machine import problem_lines, skipped_lines
from sidelight.report.sbom.cyclonedx import MACHINE, package_element
from sidelight.report.sbom.cyclonedx_json import write_json
from sidelight.report.sbom.cyclonedx_vulnerabilities import vulnerabilities
from sidelight.report.sbom.format_names import NEWEST
from sidelight.report.sbom.json_elements import write_elements
from sidelight.report.sbom.machine_boms import MachineBom, components, named, utc

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime
    from typing import TextIO

    from sidelight.report.formats.scanned_machine import ScannedMachine


def write_cyclonedx_vex(machine: ScannedMachine, file: TextIO) -> None:
    """Write the document of one machine."""
    write_json(_bom_of(machine), file, NEWEST)


def write_fleet_cyclonedx_vex(
    machines: Iterable[ScannedMachine], file: TextIO, at: datetime
) -> None:
    """Write one document: instances with their packages, and an analysis for each instance.

    What comes behind the components waits in temporary files: one machine is in memory at a time.
    """
    head = {
        "$schema": f"http://cyclonedx.org/schema/bom-{NEWEST}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": NEWEST,
        "serialNumber": f"urn:uuid:{document_number('fleet', at)}",
        "version": 1,
        "metadata": {
            "timestamp": utc(at),
            "tools": {
                "components": [{"type": "application", "name": "sidelight", "version": __version__}]
            },
            "component": {"type": "platform", "bom-ref": "fleet", "name": "fleet"},
        },
    }
    with (
        TemporaryFile("w+", encoding="ascii") as compositions,
        TemporaryFile("w+", encoding="ascii") as vulnerabilities,
    ):
        parts = _FleetParts(compositions, vulnerabilities)
        file.write(json.dumps(head).removesuffix("}") + ', "components": ')
        write_elements(file, parts.components(machines))
        for name, spool in (("compositions", compositions), ("vulnerabilities", vulnerabilities)):
            file.write(f', "{name}": [')
            spool.seek(0)
            copyfileobj(spool, file)
            file.write("]")
        file.write("}\n")


class _FleetParts:
    """Writes compositions and vulnerabilities into files while the components pass."""

    def __init__(self, compositions: TextIO, vulnerabilities: TextIO) -> None:
        self._compositions = compositions
        self._vulnerabilities = vulnerabilities

    def components(self, machines: Iterable[ScannedMachine]) -> Iterator[dict[str, object]]:
        """Yield a component for each machine, with its packages that have findings."""
        for machine in machines:
            bom, name = _bom_of(machine), machine.arn
            is_whole = machine.inventory.status is Status.COMPLETE
            aggregate = "complete" if is_whole else "incomplete"
            _append(self._compositions, {"aggregate": aggregate, "assemblies": [name]})
            for element in vulnerabilities(bom, NEWEST):
                element["bom-ref"] = f"{name}#{element['bom-ref']}"
                element["affects"] = [_within(name, item) for item in _list(element["affects"])]
                _append(self._vulnerabilities, element)
            packages = []
            for item in components(bom.inventory):
                element = package_element(item, NEWEST)
                element["bom-ref"] = f"{name}#{item.reference}"
                packages.append(element)
            document: dict[str, object] = {
                "type": "platform", "bom-ref": name, "name": named(machine.name)
            }  # fmt: skip
            if machine.inventory.problems or machine.inventory.skipped:
                lines = [*problem_lines(machine), *skipped_lines(machine)]
                document["properties"] = [
                    {"name": "sidelight:problem", "value": line} for line in lines
                ]
            if packages:
                document["components"] = packages
            yield document


def _within(machine: str, target: object) -> dict[str, object]:
    """Return what a vulnerability affects, with the reference of a machine's component."""
    document = dict(target) if isinstance(target, dict) else {}
    reference = document.get("ref")
    is_package = reference != MACHINE
    return document | {"ref": f"{machine}#{reference}" if is_package else machine}


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _append(file: TextIO, element: dict[str, object]) -> None:
    file.write(",\n" if file.tell() else "\n")
    json.dump(element, file)


def _bom_of(machine: ScannedMachine) -> MachineBom:
    """Return the packages with findings, and these."""
    listed = {item.package for item in machine.findings}
    listed |= {item.finding.package for item in machine.suppressed}
    packages = tuple(item for item in machine.inventory.packages if item in listed)
    return MachineBom(
        machine.name,
        replace(machine.inventory, packages=packages, dependencies=()),
        machine.at,
        machine.findings,
        suppressed=machine.suppressed,
        is_vex=True,
    )
