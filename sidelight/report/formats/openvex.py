"""OpenVEX 0.2.0. Source: the OpenVEX specification and its JSON schema."""

from __future__ import annotations

import json
from itertools import chain
from typing import TYPE_CHECKING, Final

from sidelight import __version__
from sidelight.model import VexStatus
from sidelight.report.formats.finding_statements import (
    document_number,
    finding_statements,
    nothing_to_state,
    reading_of,
    statements_of,
)
from sidelight.report.formats.scanned_machine import FleetReading
from sidelight.report.sbom.json_elements import write_elements

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from typing import TextIO

    from sidelight.report.formats.finding_statements import FindingStatement
    from sidelight.report.formats.scanned_machine import ScannedMachine

CONTEXT: Final = "https://openvex.dev/ns/v0.2.0"


def write_openvex(machine: ScannedMachine, file: TextIO) -> None:
    """Write the document of one machine. Raises SidelightError where nothing is to be stated."""
    statements = finding_statements(machine, "OpenVEX")
    document = {
        "@context": CONTEXT,
        "@id": f"urn:uuid:{document_number(machine.name, machine.at)}",
        "author": "Sidelight",
        "timestamp": machine.at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "version": 1,
        "tooling": f"Sidelight {machine.version}; {reading_of(machine)}",
        "statements": [_statement(item) for item in statements],
    }
    json.dump(document, file, indent=1)
    file.write("\n")


def write_fleet_openvex(machines: Iterable[ScannedMachine], file: TextIO, at: datetime) -> None:
    """Write one document about packages within instances, an instance at a time.

    Raises SidelightError where nothing is to be stated.
    """
    summary = FleetReading()
    statements = (
        _statement(item) | {"products": [_within(machine, item)]}
        for machine in summary.counted(machines)
        for item in statements_of(machine)
    )
    first = next(statements, None)
    if first is None:
        raise nothing_to_state("fleet", "OpenVEX")
    head = {
        "@context": CONTEXT,
        "@id": f"urn:uuid:{document_number('fleet', at)}",
        "author": "Sidelight",
        "timestamp": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "version": 1,
    }
    file.write(json.dumps(head).removesuffix("}") + ', "statements": ')
    write_elements(file, chain((first,), statements))
    tooling = f"Sidelight {__version__}; {summary.text()}"
    file.write(f', "tooling": {json.dumps(tooling)}}}\n')


def _within(machine: ScannedMachine, item: FindingStatement) -> dict[str, object]:
    """Return an instance as the product, with the packages as its subcomponents."""
    parts = [{"@id": purl, "identifiers": {"purl": purl}} for purl in item.products]
    return {"@id": machine.arn, "subcomponents": parts}


def _statement(item: FindingStatement) -> dict[str, object]:
    vulnerability: dict[str, object] = {"name": item.vulnerability, "description": item.title}
    if item.aliases:
        vulnerability["aliases"] = list(item.aliases)
    document: dict[str, object] = {
        "vulnerability": vulnerability,
        "products": [{"@id": purl, "identifiers": {"purl": purl}} for purl in item.products],
        "status": item.status.value,
    }
    if item.status is VexStatus.AFFECTED:
        document["action_statement"] = item.action
    elif item.status is VexStatus.NOT_AFFECTED and item.justification:
        # The schema has either a justification or an impact statement.
        document["justification"] = item.justification
        if item.text:
            document["status_notes"] = item.text
    elif item.status is VexStatus.NOT_AFFECTED:
        document["impact_statement"] = item.text
    elif item.text:
        document["status_notes"] = item.text
    return document
