"""The tables and the document of `sidelight inspector compare`."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from sidelight.inspector_comparison import CAUSE_TEXTS, Cause, ReportedBy
from sidelight.model import Finding, NetworkFinding
from sidelight.report.as_table import counted
from sidelight.report.tables import Cell, Column, Table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sidelight.documents.inspector_comparison import (
        ComparedCoverageDocument,
        ComparedFindingDocument,
        CoverageOfSideDocument,
        InspectorComparisonDocument,
        InspectorEvidenceDocument,
        SidelightEvidenceDocument,
        StatedCauseDocument,
    )
    from sidelight.inspector_comparison import (
        ComparedCoverage,
        ComparedFinding,
        Comparison,
        InspectorSide,
        ReportedCoverage,
        StatedCause,
    )
    from sidelight.model import Coverage
    from sidelight.report.tables import Report

VERDICTS = {
    ReportedBy.BOTH: "both",
    ReportedBy.ONLY_SIDELIGHT: "only Sidelight",
    ReportedBy.ONLY_INSPECTOR: "only Inspector",
    ReportedBy.NEITHER: "neither",
}
_COLOURS = {Cause.SAME: "dim", Cause.UNEXPLAINED: "bold yellow"}


def show(
    report: Report, result: Comparison, side: InspectorSide, limit: int | None, *, equal: bool
) -> None:
    """Print the totals by cause, the findings that differ, and the coverage that differs.

    `equal`: also what both report without a difference.
    """
    report.table(_totals(result))
    listed = [found for found in result.findings if equal or found.cause is not Cause.SAME]
    if listed:
        report.line("")
        report.table(_findings(listed[:limit]))
        if limit is not None and limit < len(listed):
            report.line(f"The first {limit} of {len(listed)} rows are shown.")
    covered = [row for row in result.coverage if equal or row.verdict is not ReportedBy.BOTH]
    if covered:
        report.line("")
        report.table(_coverage(covered))
    for account, region in sorted(side.unread):
        text = f"Inspector's coverage of {account}/{region} was not read: fewer causes are known."
        report.line(text, style="yellow")
    if side.skipped:
        names = ", ".join(f"{count} {name}" for name, count in sorted(side.skipped.items()))
        report.line(f"Not compared, of other resources or types: {names}")
    if side.unreadable:
        report.line(f"Not readable: {counted(side.unreadable, 'item')}", style="yellow")
    report.line(summary(result), style="bold")


def summary(result: Comparison) -> str:
    """`12 findings: 9 both (8 equal), 2 only Sidelight, 1 only Inspector; 1 unexplained`."""
    by_verdict = Counter(found.verdict for found in result.findings)
    by_cause = Counter(found.cause for found in result.findings)
    parts = [
        f"{count} {VERDICTS[verdict]}" for verdict in VERDICTS if (count := by_verdict[verdict])
    ]
    equal = f" ({by_cause[Cause.SAME]} equal)" if by_verdict[ReportedBy.BOTH] else ""
    text = counted(len(result.findings), "finding")
    if parts:
        text += f": {parts[0]}{equal}"
        text += "".join(f", {part}" for part in parts[1:])
    return f"{text}; {by_cause[Cause.UNEXPLAINED]} unexplained"


def _totals(result: Comparison) -> Table:
    table = Table(
        Column("Findings", right=True), Column("Reported by"), Column("Cause", prose=True),
        Column("Name", rank=2, piped=True),
    )  # fmt: skip
    totals = result.totals()
    for verdict, cause in sorted(totals, key=_order):
        table.add_row(
            str(totals[verdict, cause]), VERDICTS[verdict],
            Cell(CAUSE_TEXTS[cause], _COLOURS.get(cause, "")), cause.value,
        )  # fmt: skip
    return table


def _order(key: tuple[ReportedBy, Cause]) -> tuple[int, int]:
    return list(ReportedBy).index(key[0]), list(Cause).index(key[1])


def _findings(listed: Sequence[ComparedFinding]) -> Table:
    one_place = len({found.place[:2] for found in listed}) < 2
    table = Table(
        Column("Reported by"), Column("Cause"), Column("Instance", rank=1),
        Column("Finding", prose=True),
        Column("Account", rank=3, piped=one_place), Column("Region", rank=3, piped=one_place),
        Column("Evidence", rank=5, prose=True), Column("Also", rank=6, prose=True),
    )  # fmt: skip
    for found in listed:
        first, *more = found.causes
        table.add_row(
            VERDICTS[found.verdict], Cell(first.cause.value, _COLOURS.get(first.cause, "")),
            found.place.instance, headline(found), found.place.account, found.place.region,
            first.evidence,
            "; ".join(f"{item.cause.value}: {item.evidence}" for item in more),
        )  # fmt: skip
    return table


def headline(found: ComparedFinding) -> str:
    """`CVE-2026-1 - openssl`, or a network finding's title."""
    if found.row is not None:
        return found.row.finding.headline
    if found.package is not None and found.reported is not None and found.package.name:
        return f"{found.reported.vulnerability} - {found.package.name}"
    return found.reported.title if found.reported else ""


def _coverage(rows: Sequence[ComparedCoverage]) -> Table:
    one_place = len({row.place[:2] for row in rows}) < 2
    table = Table(
        Column("Scanned by"), Column("Instance"), Column("Scan type"),
        Column("Account", rank=3, piped=one_place), Column("Region", rank=3, piped=one_place),
        Column("Sidelight", rank=2, prose=True), Column("Inspector", rank=2, prose=True),
    )  # fmt: skip
    for row in rows:
        table.add_row(
            VERDICTS[row.verdict], row.place.instance, row.scan_type, row.place.account,
            row.place.region, _status(row.sidelight), _status(row.inspector),
        )  # fmt: skip
    return table


def _status(covered: Coverage | ReportedCoverage | None) -> str:
    if covered is None:
        return "no entry"
    mode = f", {covered.scan_mode}" if covered.scan_mode else ""
    return f"{covered.status_code} {covered.reason}{mode}"


def comparison_document(
    result: Comparison, side: InspectorSide, places: Sequence[tuple[str, str]]
) -> InspectorComparisonDocument:
    """Return the whole comparison."""
    totals = result.totals()
    return {
        "compared": [
            {
                "account": account,
                "region": region,
                "coverage_read": (account, region) not in side.unread,
            }
            for account, region in places
        ],
        "totals": [
            {"verdict": key[0].value, "cause": key[1].value, "count": totals[key]}
            for key in sorted(totals, key=_order)
        ],
        "findings": [_finding_document(found) for found in result.findings],
        "coverage": [_coverage_document(row) for row in result.coverage],
        "skipped": dict(sorted(side.skipped.items())),
        "unreadable": side.unreadable,
        "problems": [{"where": item.where, "what": item.what} for item in side.problems],
    }


def _finding_document(found: ComparedFinding) -> ComparedFindingDocument:
    return {
        "verdict": found.verdict.value,
        "account": found.place.account,
        "region": found.place.region,
        "instance": found.place.instance,
        "type": found.finding_type,
        "causes": _causes(found.causes),
        "sidelight": _sidelight(found),
        "inspector": _inspector(found),
    }


def _causes(causes: Sequence[StatedCause]) -> list[StatedCauseDocument]:
    return [{"cause": item.cause.value, "evidence": item.evidence} for item in causes]


def _sidelight(found: ComparedFinding) -> SidelightEvidenceDocument | None:
    row = found.row
    if row is None:
        return None
    finding = row.finding
    package = finding if isinstance(finding, Finding) else None
    port = finding if isinstance(finding, NetworkFinding) else None
    return {
        "arn": row.arn,
        "status": row.status,
        "severity": finding.severity,
        "severity_source": package.severity_source if package else "",
        "vulnerability": package.vulnerability if package else "",
        "advisories": list(package.advisories) if package else [],
        "package": package.package.name if package else "",
        "version": package.package.version if package else "",
        "fixed_version": package.fixed_version if package else "",
        "path": package.package.path if package else "",
        "ports": f"{port.protocol} {port.ports}" if port else "",
        "interface": port.interface if port else "",
        "edge": port.edge_id if port else "",
        "first_observed": row.first_observed.isoformat(),
        "last_observed": row.last_observed.isoformat(),
    }


def _inspector(found: ComparedFinding) -> InspectorEvidenceDocument | None:
    reported, package = found.reported, found.package
    if reported is None:
        return None
    port = reported.port
    return {
        "arn": reported.arn,
        "status": reported.status,
        "severity": reported.severity,
        "severity_source": reported.severity_source,
        "vendor_severity": reported.vendor_severity,
        "source": reported.source,
        "vulnerability": reported.vulnerability,
        "related": list(reported.related),
        "package": package.name if package else "",
        "version": package.version if package else "",
        "fixed_version": package.fixed if package else "",
        "path": package.path if package else "",
        "ports": port.text if port else "",
        "interface": port.interface if port else "",
        "edge": port.edge if port else "",
        "first_observed": _time(reported.first_observed),
        "last_observed": _time(reported.last_observed),
    }


def _coverage_document(row: ComparedCoverage) -> ComparedCoverageDocument:
    return {
        "verdict": row.verdict.value,
        "account": row.place.account,
        "region": row.place.region,
        "instance": row.place.instance,
        "scan_type": row.scan_type,
        "causes": _causes(row.causes),
        "sidelight": _side(row.sidelight),
        "inspector": _side(row.inspector),
    }


def _side(covered: Coverage | ReportedCoverage | None) -> CoverageOfSideDocument | None:
    if covered is None:
        return None
    return {
        "status_code": covered.status_code,
        "reason": covered.reason,
        "scan_mode": covered.scan_mode,
        "scanned_at": _time(covered.scanned_at),
    }


def _time(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
