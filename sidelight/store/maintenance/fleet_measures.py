"""The measures of a fleet besides its findings: coverage, exposed instances, costs.

Each is counted by account-region, and for the whole fleet, whose account and Region are empty.
"""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import exists, func, select

from sidelight.model import FindingStatus, FindingType, ScanType, Severity
from sidelight.store.base.ordered_join import Unindexed, same_instance
from sidelight.store.base.schema import (
    advisory_databases,
    cost_days,
    costs,
    coverage,
    finding_details,
    finding_terms,
    findings,
    scans,
)
from sidelight.store.instances.unreached_targets import IS_MACHINE, IS_TARGET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from sqlalchemy import Connection

    from sidelight.store.base.column_types import SqlColumn

COVERAGE: Final = "coverage"  # item: status code and reason, by a blank
UNREACHED: Final = "unreached"  # item: reason; accounts and Regions that are not listed
STALE: Final = "stale"  # eligible instances that were not scanned for a day
EXPOSED: Final = "exposed"  # instances that the internet reaches, with serious vulnerabilities
UNFIXABLE: Final = "unfixable"  # active findings without a fix
COST: Final = "cost"  # item: the day; dollars
CHANGED: Final = "changed"  # item: added or withdrawn, and the severity; by the newest database
PORTS: Final = "ports"  # item: protocol, port, edge's type and severity; instances
FRESH: Final = timedelta(hours=24)
INTERNET: Final = "AWS::EC2::InternetGateway"
_SERIOUS = (Severity.CRITICAL.value, Severity.HIGH.value)


class Measured(NamedTuple):
    """A value of a measure."""

    measure: str
    account: str
    region: str
    item: str
    value: float


def measure_fleet(connection: Connection, now: datetime) -> list[Measured]:
    """Count coverage, instances that were not scanned lately, and exposed instances."""
    return [
        *_sums(COVERAGE, _coverage(connection)),
        *_sums(UNREACHED, _unreached(connection)),
        *_sums(STALE, _stale(connection, now)),
        *_sums(EXPOSED, _exposed(connection)),
        *_sums(PORTS, _ports(connection)),
        *_sums(UNFIXABLE, _unfixable(connection)),
        *_changed(connection),
    ]


def _sums(measure: str, rows: Iterable[tuple[str, str, str, float]]) -> list[Measured]:
    """Add up (account, Region, item, value), with sums of the whole fleet.

    There is a value for the whole fleet in any case: zero is not "not counted".
    """
    added: dict[tuple[str, str, str], float] = {}
    for account, region, item, value in rows:
        for key in {(account, region, item), ("", "", item)}:
            added[key] = added.get(key, 0.0) + value
    if not added:
        added["", "", ""] = 0.0
    return [Measured(measure, *key, float(value)) for key, value in sorted(added.items())]


def _coverage(connection: Connection) -> Iterable[tuple[str, str, str, float]]:
    groups = (
        coverage.c.account, coverage.c.region, coverage.c.status_code, coverage.c.reason,
    )  # fmt: skip
    query = (
        select(*groups, func.count())
        .where(coverage.c.scan_type == ScanType.PACKAGE.value, IS_MACHINE)
        .group_by(*groups)
    )
    for account, region, code, reason, count in connection.execute(query):
        yield account, region, f"{code} {reason}", count


def _unreached(connection: Connection) -> Iterable[tuple[str, str, str, float]]:
    groups = (coverage.c.account, coverage.c.region, coverage.c.reason)
    query = (
        select(*groups, func.count())
        .where(coverage.c.scan_type == ScanType.PACKAGE.value, IS_TARGET)
        .group_by(*groups)
    )
    for row in connection.execute(query):
        yield row.account, row.region, row.reason, int(row[3])


def _stale(connection: Connection, now: datetime) -> Iterable[tuple[str, str, str, float]]:
    groups = (coverage.c.account, coverage.c.region)
    query = (
        select(*groups, func.count())
        .where(
            coverage.c.scan_type == ScanType.PACKAGE.value,
            coverage.c.status_code == "ACTIVE",
            coverage.c.scanned_at.is_(None) | (coverage.c.scanned_at < now - FRESH),
        )
        .group_by(*groups)
    )
    for account, region, count in connection.execute(query):
        yield account, region, "", count


def _exposed(connection: Connection) -> Iterable[tuple[str, str, str, float]]:
    """Count instances with an active finding of the internet's path, and a serious one."""
    other, terms = findings.alias("other"), finding_terms.alias("terms")
    status: SqlColumn = Unindexed(other.c.status)
    kind: SqlColumn = Unindexed(other.c.type)
    serious = (
        exists()
        .where(
            same_instance(other, findings),
            status == FindingStatus.ACTIVE.value,
            kind == FindingType.PACKAGE_VULNERABILITY.value,
        )
        .where(terms.c.detail == other.c.detail, terms.c.severity.in_(_SERIOUS))
    )
    reached = (
        select(findings.c.account, findings.c.region, findings.c.instance)
        .join(finding_terms, finding_terms.c.detail == findings.c.detail)
        .where(
            findings.c.type == FindingType.NETWORK_REACHABILITY.value,
            findings.c.status == FindingStatus.ACTIVE.value,
            finding_terms.c.component_types.contains(f"\n{INTERNET}\n", autoescape=True),
            serious,
        )
        .distinct()
        .subquery()
    )
    groups = (reached.c.account, reached.c.region)
    for account, region, count in connection.execute(
        select(*groups, func.count()).group_by(*groups)
    ):
        yield account, region, "", count


def _ports(connection: Connection) -> Iterable[tuple[str, str, str, float]]:
    """Count the instances whose ports can be reached, by port, edge and severity."""
    terms = finding_terms
    groups = (
        findings.c.account, findings.c.region, terms.c.protocol, terms.c.port_begin,
        terms.c.port_end, terms.c.component_types, terms.c.severity,
    )  # fmt: skip
    query = (
        select(*groups, func.count(findings.c.instance.distinct()))
        .join(terms, terms.c.detail == findings.c.detail)
        .where(
            findings.c.type == FindingType.NETWORK_REACHABILITY.value,
            findings.c.status == FindingStatus.ACTIVE.value,
        )
        .group_by(*groups)
    )
    for account, region, protocol, begin, end, types, severity, count in connection.execute(query):
        edge = types.strip("\n").partition("\n")[0] or "unknown"
        ports = str(begin) if begin == end else f"{begin}-{end}"
        yield account, region, f"{protocol} {ports} {edge} {severity}"[:160], count


def _unfixable(connection: Connection) -> Iterable[tuple[str, str, str, float]]:
    query = (
        select(findings.c.account, finding_terms.c.severity, func.count())
        .join(finding_terms, finding_terms.c.detail == findings.c.detail)
        .where(
            findings.c.status == FindingStatus.ACTIVE.value,
            finding_terms.c.type == FindingType.PACKAGE_VULNERABILITY.value,
            finding_terms.c.fixed_version == "",
        )
        .group_by(findings.c.account, finding_terms.c.severity)
    )
    for account, severity, count in connection.execute(query):
        yield account, "", severity, count


def _changed(connection: Connection) -> list[Measured]:
    """Count the vulnerabilities that the newest advisory database added or withdrew."""
    newest = select(func.max(advisory_databases.c.number)).scalar_subquery()
    query = (
        select(finding_details.c.current, finding_details.c.severity, func.count())
        .where(finding_details.c.touched == newest, finding_details.c.software > 0)
        .group_by(finding_details.c.current, finding_details.c.severity)
    )
    found = [
        Measured(CHANGED, "", "", f"{'added' if current else 'withdrawn'} {severity}", float(count))
        for current, severity, count in connection.execute(query)
    ]
    return found or [Measured(CHANGED, "", "", "", 0.0)]


def measure_costs(
    connection: Connection, day: Callable[[Any], Any], since: datetime, until: datetime
) -> list[Measured]:
    """Sum dollars by account-region and day, for each day from `since` to `until`."""
    name = day(scans.c.created_at)
    groups = (scans.c.account, scans.c.region, name)
    live = (
        select(*groups, func.sum(costs.c.usd))
        .join(costs, costs.c.scan == scans.c.id)
        .where(scans.c.created_at >= since)
        .group_by(*groups)
    )
    ended = select(cost_days.c.account, cost_days.c.region, cost_days.c.day, cost_days.c.usd).where(
        cost_days.c.day >= since.astimezone(UTC).date().isoformat()
    )
    rows = [
        (account, region, str(of_day), float(usd))
        for query in (live, ended)
        for account, region, of_day, usd in connection.execute(query)
    ]
    days = [since + timedelta(days=number) for number in range((until - since).days + 1)]
    rows += [("", "", moment.astimezone(UTC).date().isoformat(), 0.0) for moment in days]
    return _sums(COST, rows)
