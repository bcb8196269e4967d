"""OpenVEX 0.2.0. Source: the OpenVEX specification and its JSON schema."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from sidelight.model import VexStatus
from sidelight.report.formats.finding_statements import (
    document_number,
    finding_statements,
    reading_of,
)

if TYPE_CHECKING:
    from typing import TextIO

    from sidelight.report.formats.finding_statements import FindingStatement
    from sidelight.report.formats.scanned_machine import ScannedMachine

CONTEXT: Final = "https://openvex.dev/ns/v0.2.0"


def write_openvex(machine: ScannedMachine, file: TextIO) -> None:
    """Write the document of one machine. Raises SidelightError where nothing is to be stated."""
    statements = finding_statements(machine, "OpenVEX")
    document = {
        "@context": CONTEXT,
        "@id": f"urn:uuid:{document_number(machine)}",
        "author": "Sidelight",
        "timestamp": machine.at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "version": 1,
        "tooling": f"Sidelight {machine.version}; {reading_of(machine)}",
        "statements": [_statement(item) for item in statements],
    }
    json.dump(document, file, indent=1)
    file.write("\n")


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
