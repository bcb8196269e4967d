"""Inventories and findings: what was on a machine, and what is wrong with it.

An inventory is durable: a new advisory is matched against the stored ones, with no new snapshot.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, bindparam, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from sidelight.errors import StoreError
from sidelight.model import Finding, Inventory, Severity, Status
from sidelight.store import codec
from sidelight.store.costs import add_cost
from sidelight.store.rows import Cost, FindingChanges, FindingRow, FindingStatus, Scan, State
from sidelight.store.scans import release
from sidelight.store.schema import findings, inventories

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from sidelight.store.clock import Clock
    from sidelight.store.engine import Database

# Inspector: what recurs within seven days is the same finding, opened again.
REOPENS_WITHIN = timedelta(days=7)


class Findings:
    """Inventories and findings by instance."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def save_inventory(self, scan: Scan, inventory: Inventory, cost: Cost) -> None:
        """READING to EVALUATING with the inventory and its cost, in one transaction.

        Raises LeaseLostError, and then nothing is changed.
        """
        now = self._clock()
        document = codec.pack(inventory)
        with self._database.write() as connection:
            release(connection, scan, now, now, State.EVALUATING)
            dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
            values = {
                "scan": scan.id,
                "status": inventory.status.value,
                "packages": len(inventory.packages),
                "taken_at": scan.created_at,
                "evaluated_at": None,
                "document": document,
            }
            connection.execute(
                dialect.insert(inventories)
                .values(account=scan.account, instance=scan.instance, **values)
                .on_conflict_do_update(index_elements=["account", "instance"], set_=values)
            )
            add_cost(connection, cost)

    def inventory(self, account: str, instance: str) -> Inventory:
        """The newest inventory of an instance. Raises StoreError where there is none."""
        query = select(inventories.c.document).where(
            inventories.c.account == account, inventories.c.instance == instance
        )
        with self._database.read() as connection:
            document = connection.execute(query).scalar()
        if document is None:
            raise StoreError("has no inventory yet", where=instance)
        return codec.unpack(Inventory, document)

    def save_findings(
        self, scan: Scan, inventory: Inventory, found: Sequence[Finding]
    ) -> FindingChanges:
        """EVALUATING to DELETING with the findings opened, kept and closed, in one transaction.

        Raises LeaseLostError, and then nothing is changed.
        """
        now = self._clock()
        with self._database.write() as connection:
            release(connection, scan, now, now, State.DELETING)
            return self._settle(connection, (scan.account, scan.region, scan.instance),
                                inventory, found, now)  # fmt: skip

    def reevaluate(
        self, place: tuple[str, str, str], inventory: Inventory, found: Sequence[Finding]
    ) -> FindingChanges:
        """The same for a stored inventory under new advisories; `place`: account, region, id."""
        with self._database.write() as connection:
            return self._settle(connection, place, inventory, found, self._clock())

    def rows(
        self,
        *,
        account: str = "",
        instance: str = "",
        status: FindingStatus | None = FindingStatus.ACTIVE,
    ) -> Iterator[FindingRow]:
        """Findings, the gravest first; of all instances, or of one."""
        columns = [findings.c[name] for name in (
            "account", "region", "instance", "status", "first_observed", "last_observed",
            "closed_at", "document",
        )]  # fmt: skip
        query = select(*columns).order_by(findings.c.instance, findings.c.id)
        if account:
            query = query.where(findings.c.account == account)
        if instance:
            query = query.where(findings.c.instance == instance)
        if status is not None:
            query = query.where(findings.c.status == status.value)
        with self._database.read() as connection:
            rows = [
                FindingRow(
                    finding=codec.load(Finding, row.document),
                    status=FindingStatus(row.status),
                    **{c.name: getattr(row, c.name) for c in columns if c.name not in _DECODED},
                )
                for row in connection.execute(query)
            ]
        yield from sorted(rows, key=lambda row: -row.finding.severity.rank)

    def severities(self) -> dict[tuple[str, str], dict[Severity, int]]:
        """Active findings counted by (account, instance) and severity."""
        query = (
            select(findings.c.account, findings.c.instance, findings.c.severity, func.count())
            .where(findings.c.status == FindingStatus.ACTIVE.value)
            .group_by(findings.c.account, findings.c.instance, findings.c.severity)
        )
        counts: dict[tuple[str, str], dict[Severity, int]] = {}
        with self._database.read() as connection:
            for account, instance, severity, count in connection.execute(query):
                counts.setdefault((account, instance), {})[Severity(severity)] = count
        return counts

    def close_instance(self, account: str, instance: str) -> int:
        """Close all findings of an instance that is gone; how many."""
        now = self._clock()
        statement = (
            update(findings)
            .where(
                findings.c.account == account,
                findings.c.instance == instance,
                findings.c.status != FindingStatus.CLOSED.value,
            )
            .values(status=FindingStatus.CLOSED.value, closed_at=now)
        )
        with self._database.write() as connection:
            return connection.execute(statement).rowcount

    def _settle(
        self,
        connection: Connection,
        place: tuple[str, str, str],
        inventory: Inventory,
        found: Sequence[Finding],
        now: datetime,
    ) -> FindingChanges:
        account, _, instance = place
        wanted = {key_of(finding): finding for finding in found}
        known = {
            row.key: row
            for row in connection.execute(
                select(
                    findings.c.id, findings.c.key, findings.c.status, findings.c.closed_at,
                    findings.c.package_type, findings.c.package_name, findings.c.path,
                ).where(findings.c.account == account, findings.c.instance == instance)
            )
        }  # fmt: skip
        opened = [_new(place, key, wanted[key], now) for key in wanted.keys() - known.keys()]
        if opened:
            connection.execute(findings.insert(), sorted(opened, key=lambda row: str(row["key"])))
        again = [_seen(known[key], wanted[key], now) for key in wanted.keys() & known.keys()]
        reopened = _update_seen(connection, again)
        gone = [
            {"row": row.id}
            for key, row in known.items()
            if key not in wanted and row.status != "CLOSED" and _is_gone(row, inventory)
        ]
        if gone:
            connection.execute(
                update(findings)
                .where(findings.c.id == bindparam("row"))
                .values(status=FindingStatus.CLOSED.value, closed_at=now),
                gone,
            )
        connection.execute(
            update(inventories)
            .where(inventories.c.account == account, inventories.c.instance == instance)
            .values(evaluated_at=now)
        )
        return FindingChanges(len(opened) + reopened, len(again) - reopened, len(gone))


_DECODED = frozenset({"status", "document"})


def key_of(finding: Finding) -> str:
    """What makes a finding this one: vulnerability, package with its version, path."""
    parts = (finding.vulnerability, finding.package.purl, finding.package.path)
    text = "\0".join(parts).encode("utf-8", "surrogatepass")
    return hashlib.sha256(text).hexdigest()


def _new(place: tuple[str, str, str], key: str, finding: Finding, now: datetime) -> dict[str, Any]:
    account, region, instance = place
    package = finding.package
    return {
        "account": account,
        "region": region,
        "instance": instance,
        "key": key,
        "vulnerability": finding.vulnerability,
        "severity": finding.severity.value,
        "package_type": package.type,
        "package_name": package.name,
        "purl": package.purl,
        "path": package.path,
        "status": FindingStatus.ACTIVE.value,
        "first_observed": now,
        "last_observed": now,
        "closed_at": None,
        "document": codec.dump(finding),
    }


def _seen(row: Any, finding: Finding, now: datetime) -> dict[str, Any]:
    """What changes for a finding that was known: `fresh` where it is as good as new."""
    closed = row.status == FindingStatus.CLOSED.value
    return {
        "row": row.id,
        "to_severity": finding.severity.value,
        "to_document": codec.dump(finding),
        "to_status": FindingStatus.ACTIVE.value if closed else row.status,
        "seen": now,
        "reopened": closed,
        "fresh": closed and row.closed_at is not None and now - row.closed_at > REOPENS_WITHIN,
    }


def _update_seen(connection: Connection, again: list[dict[str, Any]]) -> int:
    """Write them; how many were closed before."""
    statement = (
        update(findings)
        .where(findings.c.id == bindparam("row"))
        .values(
            severity=bindparam("to_severity"),
            document=bindparam("to_document"),
            status=bindparam("to_status"),
            last_observed=bindparam("seen"),
            closed_at=None,
        )
    )
    for fresh in (False, True):
        chosen = [
            {k: v for k, v in item.items() if k not in ("fresh", "reopened")}
            for item in again
            if item["fresh"] is fresh
        ]
        if chosen:
            anew = statement.values(first_observed=bindparam("seen")) if fresh else statement
            connection.execute(anew, chosen)
    return sum(item["reopened"] for item in again)


def _is_gone(row: Any, inventory: Inventory) -> bool:
    """Whether a finding that was not made again is over.

    What could not be read is not healthy: of a machine that was read in part, only a package that
    was read again, from the same file, and is not vulnerable any more, closes its findings.
    """
    if inventory.status is Status.COMPLETE:
        return True
    if inventory.status is Status.FAILED:
        return False
    return any(
        package.path == row.path and package.name == row.package_name
        for package in inventory.packages
        if package.type == row.package_type
    )
