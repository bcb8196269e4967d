"""The variables of a template (docs/templates.md), an instance at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight import __version__
from sidelight.report.as_json import finding_document, suppressed_document

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from sidelight.documents.template_models import (
        ReachablePortDocument,
        TemplateMachineDocument,
    )
    from sidelight.model import NetworkFinding
    from sidelight.report.formats.scanned_machine import ScannedMachine


def template_model(machines: Iterable[ScannedMachine], at: datetime) -> Mapping[str, object]:
    """Return the variables; `machines` is lazy, and can be iterated once."""
    return {
        "version": __version__,
        "created_at": at.isoformat(),
        "machines": map(machine_document, machines),
    }


def machine_document(machine: ScannedMachine) -> TemplateMachineDocument:
    """Return one machine with its findings."""
    inventory = machine.inventory
    return {
        "name": machine.name,
        "account": machine.account,
        "region": machine.region,
        "arn": machine.arn,
        "status": inventory.status,
        "os": {
            "id": inventory.os.id,
            "version_id": inventory.os.version_id,
            "pretty_name": inventory.os.pretty_name,
        },
        "packages": len(inventory.packages),
        "problems": [{"where": item.where, "what": item.what} for item in inventory.problems],
        "skipped": list(inventory.skipped),
        "findings": [finding_document(finding) for finding in machine.findings],
        "suppressed": [suppressed_document(item) for item in machine.suppressed],
        "reachable_ports": [_port(finding) for finding in machine.network],
    }


def _port(finding: NetworkFinding) -> ReachablePortDocument:
    return {
        "severity": finding.severity,
        "title": finding.title,
        "description": finding.description,
        "remediation": finding.remediation,
        "protocol": finding.protocol,
        "ports": finding.ports,
        "interface": finding.interface,
        "edge": finding.edge_id,
    }
