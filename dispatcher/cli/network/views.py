"""The tables and documents of `sidelight network`."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from sidelight.report.as_table import counted, severity_cell, totals
from sidelight.report.tables import Cell, Column, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidelight.documents.network import (
        ExplanationDocument,
        NetworkScanDocument,
        PathComponentDocument,
        ReachabilityFindingDocument,
        StopDocument,
    )
    from sidelight.model.software import Problem
    from sidelight.reachability.results import (
        Explanation,
        PathComponent,
        ReachabilityFinding,
        Stop,
    )
    from sidelight.report.tables import Report

SHOWN_SOURCES = 4  # CIDR blocks in a table's cell; JSON has all
# What an id's prefix says of the object.
KINDS = {
    "acl": "network ACL",
    "aws-backbone": "AWS's network",
    "eigw": "egress-only internet gateway",
    "eni": "network interface",
    "i": "instance",
    "igw": "internet gateway",
    "internet": "internet",
    "nat": "NAT gateway",
    "on-prem": "network on premises",
    "pcx": "VPC peering connection",
    "rtb": "route table",
    "sg": "security group",
    "subnet": "subnet",
    "tgw": "transit gateway",
    "tgw-attach": "transit gateway attachment",
    "tgw-rtb": "transit gateway route table",
    "vgw": "virtual private gateway",
    "vpc": "VPC",
    "vpce": "VPC endpoint",
    "vpn": "VPN connection",
}
EDGES = {
    "INTERNET_GATEWAY": "internet",
    "VPC_PEERING": "peered VPC",
    "VIRTUAL_GATEWAY": "virtual private gateway",
    "DIRECT_CONNECT": "Direct Connect",
    "TRANSIT_GATEWAY": "transit gateway",
    "PRIVATE_LINK": "PrivateLink",
}


def kind_of(identity: str) -> str:
    """Return the kind that an id's prefix names: `igw-0a1` is an internet gateway."""
    prefix = identity.rpartition("-")[0]
    return KINDS.get(identity) or KINDS.get(prefix) or KINDS.get(prefix.partition("-")[0], "")


def explanation_document(explanation: Explanation) -> ExplanationDocument:
    """Return `{"reachable", "verdict", "hops", "stopped_by": {"id", "type", "rule"} | null}`."""
    stop = explanation.stopped_by
    return {
        "reachable": explanation.reachable,
        "verdict": explanation.verdict.value,
        "hops": list(explanation.hops),
        "stopped_by": None if stop is None else _stop_document(stop),
    }


def _stop_document(stop: Stop) -> StopDocument:
    return {"id": stop.id, "type": stop.type, "rule": stop.rule}


def show_explanation(report: Report, explanation: Explanation) -> None:
    """Print the verdict, a row for each hop, the control that stops the packet, and notes."""
    table = Table(Column("Hop", right=True), Column("Id"), Column("Kind", rank=1))
    for number, hop in enumerate(explanation.hops, 1):
        table.add_row(str(number), hop, kind_of(hop))
    report.table(table)
    verdict = explanation.verdict.value
    if explanation.reachable:
        report.line(f"Reachable: {verdict}", style="bold")
    else:
        report.line(f"Not reachable: {verdict}{_stopped(explanation.stopped_by)}", style="bold")
    if explanation.sources:
        report.line(f"Source addresses that get through: {', '.join(explanation.sources)}")
    for note in explanation.notes:
        report.line(f"Note: {note}", style="yellow")


def _stopped(stop: Stop | None) -> str:
    if stop is None:
        return ""
    kind = kind_of(stop.id) or stop.type
    if kind == KINDS["sg"] and not stop.rule:
        return f", no rule of security group {stop.id} allows it"
    rule = f", rule {stop.rule}" if stop.rule else ""
    return f", stopped by {kind} {stop.id}{rule}"


def order(finding: ReachabilityFinding) -> tuple[object, ...]:
    """Return the key by which findings are listed: most severe first, then by place and port."""
    return (
        -finding.severity.rank,
        finding.account,
        finding.region,
        finding.instance_id,
        finding.protocol,
        finding.port_begin,
        finding.edge_id,
        finding.interface_id,
        finding.family,
    )


def show_findings(
    report: Report, findings: Sequence[ReachabilityFinding], problems: Sequence[Problem]
) -> None:
    """Print a row for each finding, and a line with the sums."""
    one_place = len({(finding.account, finding.region) for finding in findings}) < 2
    table = Table(
        Column("Severity"),
        Column("Ports", right=True),
        Column("Protocol"),
        Column("Instance"),
        Column("From", rank=1),
        Column("Edge", rank=3),
        Column("Sources", rank=2),
        Column("Interface", rank=4),
        Column("Account", rank=5, piped=one_place),
        Column("Region", rank=5, piped=one_place),
        Column("Path", rank=7, extra=True),
        Column("Notes", rank=8, prose=True),
    )
    for finding in findings:
        table.add_row(*_cells(finding))
    report.table(table)
    for problem in problems:
        report.line(f"{problem.where}: {problem.what}", style="yellow")
    counts = Counter(finding.severity for finding in findings)
    instances = len({finding.instance_id for finding in findings})
    on = f"; on {counted(instances, 'instance')}" if findings else ""
    report.line(f"{totals(counts, len(findings))}{on}", style="bold")


def _cells(finding: ReachabilityFinding) -> list[str | Cell]:
    edge = EDGES.get(finding.edge_kind.value, finding.edge_kind.value)
    return [
        severity_cell(finding.severity),
        _ports(finding),
        finding.protocol,
        finding.instance_id,
        edge,
        finding.edge_id,
        _sources(finding.sources),
        finding.interface_id,
        finding.account,
        finding.region,
        " > ".join(component.id for component in finding.steps),
        "; ".join(finding.notes),
    ]


def _ports(finding: ReachabilityFinding) -> str:
    if finding.port_begin == finding.port_end:
        return str(finding.port_begin)
    return f"{finding.port_begin}-{finding.port_end}"


def _sources(sources: Sequence[str]) -> str:
    shown = ", ".join(sources[:SHOWN_SOURCES])
    more = len(sources) - SHOWN_SOURCES
    return f"{shown} and {more} more" if more > 0 else shown


def findings_document(
    findings: Sequence[ReachabilityFinding], problems: Sequence[Problem]
) -> NetworkScanDocument:
    """Return `{"findings": […], "problems": [{"where", "what"}]}`."""
    return {
        "findings": [finding_document(finding) for finding in findings],
        "problems": [{"where": item.where, "what": item.what} for item in problems],
    }


def finding_document(finding: ReachabilityFinding) -> ReachabilityFindingDocument:
    """Return one finding, its path in Inspector's members and in full."""
    return {
        "severity": finding.severity,
        "title": finding.title,
        "description": finding.description,
        "remediation": finding.remediation,
        "account": finding.account,
        "region": finding.region,
        "instance": finding.instance_id,
        "interface": finding.interface_id,
        "protocol": finding.protocol,
        "open_port_range": {"begin": finding.port_begin, "end": finding.port_end},
        "family": finding.family,
        "edge": {"id": finding.edge_id, "kind": finding.edge_kind.value},
        "sources": list(finding.sources),
        "anywhere": finding.anywhere,
        "steps": _components(finding.steps),
        "full_path": _components(finding.full_path),
        "notes": list(finding.notes),
    }


def _components(components: Sequence[PathComponent]) -> list[PathComponentDocument]:
    return [_component(item) for item in components]


def _component(component: PathComponent) -> PathComponentDocument:
    document: PathComponentDocument = {"id": component.id, "type": component.type}
    if component.rule:
        document["rule"] = component.rule
    return document
