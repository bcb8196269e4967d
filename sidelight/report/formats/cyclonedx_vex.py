"""CycloneDX 1.6 as VEX: the packages with findings, and an analysis of each vulnerability."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sidelight.report.sbom.cyclonedx_json import write_json
from sidelight.report.sbom.format_names import NEWEST
from sidelight.report.sbom.machine_boms import MachineBom

if TYPE_CHECKING:
    from typing import TextIO

    from sidelight.report.formats.scanned_machine import ScannedMachine


def write_cyclonedx_vex(machine: ScannedMachine, file: TextIO) -> None:
    """Write the document of one machine."""
    named = {item.package for item in machine.findings}
    named |= {item.finding.package for item in machine.suppressed}
    packages = tuple(item for item in machine.inventory.packages if item in named)
    bom = MachineBom(
        machine.name,
        replace(machine.inventory, packages=packages),
        machine.at,
        machine.findings,
        suppressed=machine.suppressed,
        is_vex=True,
    )
    write_json(bom, file, NEWEST)
