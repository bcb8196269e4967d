"""Network findings as JSON, in the shapes that scripts rely on (docs/schemas)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidelight.documents.network import FleetNetworkFindingDocument, PathComponentDocument
    from sidelight.model import FindingRow, NetworkFinding, NetworkStep


def network_finding_document(
    row: FindingRow, finding: NetworkFinding
) -> FleetNetworkFindingDocument:
    """Return one network finding of an instance, with its history."""
    return {
        "type": finding.type,
        "severity": finding.severity,
        "headline": finding.headline,
        "title": finding.title,
        "description": finding.description,
        "remediation": finding.remediation,
        "protocol": finding.protocol,
        "open_port_range": {"begin": finding.port_begin, "end": finding.port_end},
        "families": list(finding.families),
        "interface": finding.interface,
        "edge": {"id": finding.edge_id, "kind": finding.edge_kind},
        "sources": list(finding.sources),
        "anywhere": finding.anywhere,
        "steps": path_document(finding.steps),
        "full_path": path_document(finding.full_path),
        "notes": list(finding.notes),
        "suppression": None,
        "arn": row.arn,
        "account": row.account,
        "region": row.region,
        "instance": row.instance,
        "status": row.status,
        "first_observed": row.first_observed.isoformat(),
        "last_observed": row.last_observed.isoformat(),
        "updated_at": row.updated_at.isoformat(),
        "closed_at": None if row.closed_at is None else row.closed_at.isoformat(),
    }


def path_document(steps: Iterable[NetworkStep]) -> list[PathComponentDocument]:
    """Return one object per step; `rule` is there where one rule decides."""
    return [
        {"id": step.id, "type": step.type, "rule": step.rule}
        if step.rule
        else {"id": step.id, "type": step.type}
        for step in steps
    ]
