"""The JSON documents of `sidelight fleet` (docs/schemas)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from dispatcher.cli.fleet.report import coverage_rows, remedy_of, severities
from dispatcher.planning.cadence import next_time
from sidelight.model import NetworkFinding, ScanMode, ScanType, VexReason
from sidelight.report.as_json import finding_document
from sidelight.report.network_json import network_finding_document

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from dispatcher.discovery.accounts import AccountRegion
    from dispatcher.services.unreached_accounts import UnreachedAccount
    from dispatcher.sweep import Adoptable, Swept
    from sidelight.documents import fleet, network, vex
    from sidelight.model import (
        Cost,
        Coverage,
        CoverageChange,
        EffectiveConfiguration,
        Finding,
        FindingRow,
        Reevaluated,
        Scan,
        ScanSource,
        Severity,
        SuppressionRule,
    )
    from sidelight.store import NetworkTime, RetentionResult, Store


def coverage_document(
    store: Store, rows: Sequence[Coverage] | None = None
) -> list[fleet.CoverageDocument]:
    """Return one object per instance; for all instances without `rows`."""
    counts, now = severities(store), store.clock()
    networks = store.network_evaluations.times()
    return [
        _coverage(
            row,
            counts.get((row.account, row.instance, row.scan_type), {}),
            _next_due(row, networks, now),
        )
        for row in (coverage_rows(store) if rows is None else rows)
    ]


def history_document(changes: Sequence[CoverageChange]) -> list[fleet.CoverageChangeDocument]:
    """Return one object per change of coverage."""
    return [
        {
            "account": change.account,
            "region": change.region,
            "instance": change.instance,
            "scan_type": change.scan_type,
            "at": change.at.isoformat(),
            "status_code": change.status_code,
            "reason": change.reason,
            "scan_mode": change.scan_mode,
            "detail": change.detail,
        }
        for change in changes
    ]


def account_document(held: EffectiveConfiguration) -> fleet.AccountDocument:
    """Return the effective configuration of an account."""
    return {
        "account": held.account,
        "status": held.status,
        "mode": held.mode,
        "deep_inspection": held.deep_inspection,
        "exclusion_tag": held.exclusion_tag,
        "package_paths": list(held.package_paths),
        "configured": held.configured,
        "inherited": sorted(held.inherited),
    }


def unreached_document(item: UnreachedAccount) -> fleet.UnreachedDocument:
    """Return why an account or a Region could not be listed, and what to do."""
    return {
        "region": item.target.region,
        "reason": item.target.reason,
        "detail": item.target.detail,
        "since": item.target.since.isoformat(),
        "tried_at": item.target.tried_at.isoformat(),
        "remedy": item.remedy,
    }


def _next_due(
    row: Coverage, networks: Mapping[tuple[str, str], NetworkTime], now: datetime
) -> datetime | None:
    """Return when the next scan by snapshots, or of the network, is planned; None for none."""
    if row.scan_type == ScanType.NETWORK:
        of_network = networks.get((row.account, row.region))
        is_evaluated = row.status_code == "ACTIVE" or row.reason == "ACCESS_DENIED"
        return of_network.due_at if of_network and is_evaluated else None
    if row.status_code == "ACTIVE" and row.scan_mode == ScanMode.AGENTLESS:
        return next_time(row.account, row.instance, now)
    return None


def _coverage(
    row: Coverage, findings: Mapping[Severity, int], next_due: datetime | None
) -> fleet.CoverageDocument:
    return {
        "account": row.account,
        "region": row.region,
        "instance": row.instance,
        "name": row.name,
        "status_code": row.status_code,
        "reason": row.reason,
        "detail": row.detail,
        "scan_type": row.scan_type,
        "scan_mode": row.scan_mode,
        "updated_at": _time(row.updated_at),
        "scanned_at": _time(row.scanned_at),
        "data_at": _time(row.data_at),
        "data_source": row.data_source,
        "next_due_at": _time(next_due),
        "remedy": remedy_of(row),
        "findings": dict(findings),
    }


def status_document(
    scans: Sequence[Scan], costs: Mapping[str, Cost], sources: Mapping[str, ScanSource]
) -> list[fleet.ScanStatusDocument]:
    """Return one object per scan, with its cost."""
    return [
        {
            "id": scan.id,
            "deployment": scan.deployment,
            "account": scan.account,
            "region": scan.region,
            "instance": scan.instance,
            "state": scan.state,
            "created_at": scan.created_at.isoformat(),
            "entered_at": scan.entered_at.isoformat(),
            "next_at": scan.next_at.isoformat(),
            "attempts": scan.attempts,
            "lease_until": _time(scan.lease_until),
            "failure": scan.failure,
            "failure_code": scan.failure_code,
            "last_error": scan.last_error,
            "priority": scan.priority,
            "finished_at": _time(scan.finished_at),
            "late_since": _time(scan.late_since),
            "source": scan.source,
            "data_at": _time(sources[scan.id].data_at) if scan.id in sources else None,
            "snapshots": [one.id for one in sources[scan.id].snapshots]
            if scan.id in sources
            else [],
            "cost": _cost(costs[scan.id]) if scan.id in costs else None,
        }
        for scan in scans
    ]


def _cost(cost: Cost) -> fleet.ScanCostDocument:
    return {
        "scan": cost.scan,
        "get_calls": cost.get_calls,
        "list_calls": cost.list_calls,
        "blocks": cost.blocks,
        "bytes": cost.bytes,
        "seconds": cost.seconds,
        "cpu_seconds": cost.cpu_seconds,
        "usd": cost.usd,
    }


def findings_document(
    rows: Iterable[FindingRow],
    reached: Mapping[str, list[network.ReachedByDocument]] | None = None,
    reasons: Mapping[int, SuppressionRule | VexReason] | None = None,
) -> list[fleet.FleetFindingDocument | network.FleetNetworkFindingDocument]:
    """Return one object per finding, with the members of its type.

    `reached` are the ways to package findings, by their ARN; `reasons` the rules and statements
    that suppress findings, by the finding's id.
    """
    found: list[fleet.FleetFindingDocument | network.FleetNetworkFindingDocument] = []
    for row in rows:
        reason = (reasons or {}).get(row.id)
        if isinstance(row.finding, NetworkFinding):
            of_network = network_finding_document(row, row.finding)
            if reason is not None and not isinstance(reason, VexReason):
                of_network["suppression"] = _by_rule(reason)
            found.append(of_network)
        else:
            of_package = _package_finding(row, row.finding, (reached or {}).get(row.arn))
            of_package["suppression"] = _suppression(reason)
            found.append(of_package)
    return found


def _suppression(
    reason: SuppressionRule | VexReason | None,
) -> network.RuleSuppressionDocument | vex.VexSuppressionDocument | None:
    if reason is None:
        return None
    if not isinstance(reason, VexReason):
        return _by_rule(reason)
    source = reason.document
    return {
        "status": reason.status,
        "justification": reason.justification,
        "statement": reason.statement,
        "document": source.identity,
        "version": source.version,
        "author": source.author,
        "issued": source.issued,
        "file": source.file,
    }


def _by_rule(rule: SuppressionRule) -> network.RuleSuppressionDocument:
    return {
        "rule": rule.name,
        "owner": rule.owner,
        "reason": rule.reason,
        "description": rule.description,
        "expires_at": _time(rule.expires_at),
    }


def _package_finding(
    row: FindingRow, finding: Finding, reached: list[network.ReachedByDocument] | None
) -> fleet.FleetFindingDocument:
    return {
        **finding_document(finding),
        "suppression": None,
        "arn": row.arn,
        "account": row.account,
        "region": row.region,
        "instance": row.instance,
        "status": row.status,
        "first_observed": row.first_observed.isoformat(),
        "last_observed": row.last_observed.isoformat(),
        "updated_at": row.updated_at.isoformat(),
        "closed_at": _time(row.closed_at),
        "reached_by": reached or [],
    }


def sweep_document(swept: Sequence[tuple[AccountRegion, Swept]]) -> list[fleet.SweepDocument]:
    """Return one object per account-region."""
    return [
        {
            "account": account_region.account,
            "region": account_region.region,
            "live": list(result.live),
            "orphans": list(result.orphans),
            "deleted": list(result.deleted),
            "failed": list(result.failed),
            "left": list(result.left),
            "foreign": [
                {"id": item.id, "why": item.why, "made_by": item.made_by} for item in result.foreign
            ],
        }
        for account_region, result in swept
    ]


def adoption_document(
    offered: Sequence[tuple[AccountRegion, Sequence[Adoptable]]], deleted: Sequence[str]
) -> list[fleet.AdoptionDocument]:
    """Return one object per account-region; `deleted` are ids of any of them."""
    return [
        {
            "account": account_region.account,
            "region": account_region.region,
            "adoptable": [
                {
                    "id": snapshot.id,
                    "volume": snapshot.volume,
                    "started": snapshot.started,
                    "size_gib": snapshot.size_gib,
                    "description": snapshot.description,
                }
                for snapshot in found
            ],
            "deleted": [snapshot.id for snapshot in found if snapshot.id in deleted],
        }
        for account_region, found in offered
    ]


def reevaluation_document(done: Reevaluated, seconds: float) -> fleet.ReevaluationDocument:
    """Return the numbers of a re-evaluation that took `seconds`."""
    changes = done.findings
    return {
        "left": done.left,
        "packages": done.packages,
        "instances": done.instances,
        "passed": done.passed,
        "findings": {
            "opened": changes.opened,
            "kept": changes.kept,
            "closed": changes.closed,
        },
        "seconds": round(seconds, 3),
    }


def prune_document(deleted: RetentionResult) -> fleet.PruneDocument:
    """Return the numbers of deleted rows."""
    return {
        "findings": deleted.findings,
        "events": deleted.events,
        "inventories": deleted.inventories,
        "package_sets": deleted.package_sets,
        "packages": deleted.packages,
        "details": deleted.details,
        "stage_times": deleted.stage_times,
        "scans": deleted.scans,
    }


def rules_document(rules: Iterable[SuppressionRule]) -> list[fleet.SuppressionRuleDocument]:
    """Return one object per suppression rule."""
    return [
        {
            "name": rule.name,
            "description": rule.description,
            "filterCriteria": json.loads(rule.criteria),
            "createdAt": _time(rule.created_at),
            "updatedAt": _time(rule.updated_at),
        }
        for rule in rules
    ]


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
