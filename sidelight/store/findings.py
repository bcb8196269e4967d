"""Inventories and findings: what was on a machine, and what is wrong with it.

An inventory is durable: a new advisory is matched against the stored ones, with no new snapshot
(see reevaluation.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, func, select, update

from sidelight.errors import StoreError
from sidelight.model import Finding, Inventory, Severity, Status
from sidelight.store import codec, databases, details, outbox, settling
from sidelight.store.costs import add_cost
from sidelight.store.inventories import (
    hold,
    is_gone,
    load_inventory,
    note_evaluated,
    store_inventory,
)
from sidelight.store.rows import (
    Cost,
    FindingChanges,
    FindingRow,
    FindingStatus,
    Place,
    Scan,
    State,
)
from sidelight.store.rules import documents, judge_with
from sidelight.store.schema import finding_details, findings, inventories, set_software
from sidelight.store.settling import KEPT_OF_RETIRED, Case
from sidelight.store.software import load_set
from sidelight.store.statements import parts
from sidelight.store.transitions import release

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from datetime import datetime

    from sqlalchemy import Row

    from sidelight.store.clock import Clock
    from sidelight.store.databases import Advisories
    from sidelight.store.engine import Database


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
        with self._database.write() as connection:
            release(connection, scan, now, now, State.EVALUATING)
            store_inventory(connection, scan, inventory, now)
            add_cost(connection, cost)

    def inventory(self, account: str, instance: str) -> Inventory:
        """The newest inventory of an instance. Raises StoreError where there is none."""
        with self._database.read() as connection:
            return load_inventory(connection, account, instance)

    def evaluate(self, scan: Scan, advisories: Advisories) -> FindingChanges:
        """EVALUATING to DELETING with the findings opened, kept and closed.

        What no other machine with the same packages has been asked is matched first. Raises
        LeaseLostError, and then the findings are as they were.
        """
        number = self._bring_up_to_date(scan, advisories)
        now = self._clock()
        with self._database.write() as connection:
            release(connection, scan, now, now, State.DELETING)
            row = hold(connection, scan.account, scan.instance)
            if row is None:
                raise StoreError("has no inventory yet", where=scan.instance)
            if row.retired_at is not None:
                return FindingChanges()
            place = Place(scan.account, scan.region, scan.instance)
            if is_gone(connection, scan.account, scan.instance):
                return FindingChanges(closed=retire(connection, place, now))
            case = Case(place, wanted(connection, row.content), over=over(connection, row))
            judge = judge_with(connection, now)
            changes = settling.settle(connection, [case], judge, now, observed=True)
            note_evaluated(connection, scan.account, scan.instance, number, now)
            return changes

    def _bring_up_to_date(self, scan: Scan, advisories: Advisories) -> int:
        """Match what of the scan's packages is not; the number of the database."""
        now = self._clock()
        with self._database.read() as connection:
            number = databases.number_of(connection, advisories.sha256)
            query = select(inventories.c.content).where(
                inventories.c.account == scan.account, inventories.c.instance == scan.instance
            )
            content = connection.execute(query).scalar()
            stale = details.stale(connection, number, content) if content else []
        matched = details.match(stale, number, advisories, now)
        with self._database.read() as connection:
            if not details.news(connection, matched):
                return number
        with self._database.write() as connection:
            details.write(connection, matched, advisories, now)
        return number

    def rows(
        self,
        *,
        account: str = "",
        instance: str = "",
        status: FindingStatus | None = FindingStatus.ACTIVE,
    ) -> Iterator[FindingRow]:
        """Findings, the gravest first; of all instances, or of one."""
        query = (
            select(*_COLUMNS, finding_details.c.document)
            .join(finding_details, finding_details.c.id == findings.c.detail)
            .order_by(findings.c.instance, findings.c.id)
        )
        if account:
            query = query.where(findings.c.account == account)
        if instance:
            query = query.where(findings.c.instance == instance)
        if status is not None:
            query = query.where(findings.c.status == status.value)
        with self._database.read() as connection:
            rows = [row_of(row) for row in connection.execute(query).all()]
        yield from sorted(rows, key=lambda row: -row.finding.severity.rank)

    def severities(self) -> dict[tuple[str, str], dict[Severity, int]]:
        """Active findings counted by (account, instance) and severity."""
        severity = finding_details.c.severity
        query = (
            select(findings.c.account, findings.c.instance, severity, func.count())
            .join(finding_details, finding_details.c.id == findings.c.detail)
            .where(findings.c.status == FindingStatus.ACTIVE.value)
            .group_by(findings.c.account, findings.c.instance, severity)
        )
        counts: dict[tuple[str, str], dict[Severity, int]] = {}
        with self._database.read() as connection:
            for account, instance, grade, count in connection.execute(query):
                counts.setdefault((account, instance), {})[Severity(grade)] = count
        return counts

    def close_instances(self, account: str, instances: Collection[str]) -> int:
        """Close all findings of instances that are gone or not to be scanned any more; how many.

        Their inventories are not evaluated again until another scan.
        """
        now = self._clock()
        count = 0
        for part in parts(sorted(instances)):
            query = select(inventories.c.region, inventories.c.instance).where(
                inventories.c.account == account,
                inventories.c.instance.in_(part),
                inventories.c.retired_at.is_(None),
            )
            with self._database.read() as connection:
                places = [Place(account, row.region, row.instance)
                          for row in connection.execute(query)]  # fmt: skip
            for place in places:
                with self._database.write() as connection:
                    hold(connection, account, place.instance)
                    count += retire(connection, place, now)
        return count


_COLUMNS = [
    findings.c[name]
    for name in (
        "id", "account", "region", "instance", "status", "first_observed", "last_observed",
        "updated_at", "closed_at",
    )
]  # fmt: skip


def row_of(row: Any) -> FindingRow:
    """From a finding's columns and its detail's document."""
    values = {column.name: getattr(row, column.name) for column in _COLUMNS}
    values["status"] = FindingStatus(row.status)
    return FindingRow(finding=codec.load(Finding, row.document), **values)


def retire(connection: Connection, place: Place, now: datetime) -> int:
    """Close what is open of an instance, and leave its inventory alone from now on."""
    rows = settling.open_rows(connection, place.account, place.instance)
    news = settling.close(connection, rows, now, KEPT_OF_RETIRED)
    connection.execute(
        update(inventories)
        .where(inventories.c.account == place.account, inventories.c.instance == place.instance)
        .values(retired_at=now)
    )
    outbox.announce(connection, news, now)
    return len(rows)


def wanted(
    connection: Connection, content: int, keys: Collection[str] | None = None
) -> dict[str, int]:
    """What a set of packages has: details by key; of these keys, or all."""
    query = (
        select(finding_details.c.key, finding_details.c.id)
        .join(set_software, set_software.c.software == finding_details.c.software)
        .where(set_software.c.content == content, finding_details.c.current)
        .order_by(finding_details.c.id.desc())
    )
    rows = connection.execute(query)
    return {row.key: row.id for row in rows if keys is None or row.key in keys}


def over(connection: Connection, inventory: Row[Any]) -> Callable[[list[Row[Any]]], list[Row[Any]]]:
    """Which of the findings that were not made again are over.

    What could not be read is not healthy: of a machine that was read in part, only a package that
    was read again, from the same file, and is not vulnerable any more, closes its findings.
    """
    if inventory.status == Status.COMPLETE.value:
        return list
    if inventory.status == Status.FAILED.value:
        return lambda _rows: []

    def read_again(rows: list[Row[Any]]) -> list[Row[Any]]:
        if not rows:
            return []
        read = {
            (package.type, package.name, package.path)
            for package in load_set(connection, inventory.content).packages
        }
        found = documents(connection, [row.detail for row in rows])
        packages = {detail: finding.package for detail, finding in found.items()}
        return [
            row
            for row in rows
            if (packages[row.detail].type, packages[row.detail].name, packages[row.detail].path)
            in read
        ]

    return read_again
