"""CycloneDX as JSON, written element by element."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sidelight.report.sbom.cyclonedx import sections
from sidelight.report.sbom.json_elements import write_elements

if TYPE_CHECKING:
    from typing import TextIO

    from sidelight.report.sbom.machine_boms import MachineBom


def write_json(bom: MachineBom, file: TextIO, version: str) -> None:
    """Write a document in ASCII. Its memory does not grow with the number of packages."""
    head = {
        "$schema": f"http://cyclonedx.org/schema/bom-{version}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": version,
        "serialNumber": f"urn:uuid:{bom.serial_number}",
        "version": 1,
    }
    file.write("{\n")
    file.write(",\n".join(f"{json.dumps(key)}: {json.dumps(head[key])}" for key in head))
    for section in sections(bom, version):
        file.write(f",\n{json.dumps(section.name)}: ")
        if section.value is not None:
            json.dump(section.value, file)
            continue
        write_elements(file, section.elements)
    file.write("\n}\n")
