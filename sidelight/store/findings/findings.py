"""Inventories and findings: the packages of a machine, and its vulnerabilities.

An inventory is durable: a new advisory is matched with the stored inventories, without a new
snapshot (see reevaluation.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Connection, func, select, update

from sidelight.errors import StoreError
from sidelight.findings import KEPT_OF_RETIRED, Observation
from sidelight.model import (
    Cost,
    Finding,
    FindingChanges,
    FindingRow,
    FindingStatus,
    InstanceRef,
    Inventory,
    Scan,
    Severity,
    State,
    Status,
    Transition,
)
from sidelight.store.base import documents as codec
from sidelight.store.base.dialect import parts
from sidelight.store.base.schema import finding_details, findings, inventories, set_software
from sidelight.store.findings import outbox, reconcile
from sidelight.store.findings.reconcile import InstanceState
from sidelight.store.findings.suppression_rules import judge_with
from sidelight.store.inventories.agent_inventories import note_seen
from sidelight.store.inventories.inventories import (
    InventoryOrigin,
    hold,
    is_gone,
    load_inventory,
    note_evaluated,
    of_scan,
    store_inventory,
)
from sidelight.store.scans.costs import add_cost
from sidelight.store.scans.transitions import release

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import datetime

    from sidelight.model import SeenInventory
    from sidelight.store.base.clock import Clock
    from sidelight.store.base.engine import Database


class Evaluated(NamedTuple):
    """The result of a scan's evaluation."""

    transition: Transition
    changes: FindingChanges


class Findings:
    """Inventories and findings by instance."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def save_inventory(self, scan: Scan, inventory: Inventory, cost: Cost) -> Transition:
        """READING to EVALUATING with the inventory and its cost, in one transaction.

        Raises LeaseLostError; then nothing is changed.
        """
        now = self._clock()
        with self._database.write() as connection:
            transition = release(connection, scan, now, now, State.EVALUATING)
            store_inventory(connection, of_scan(scan), inventory, now)
            add_cost(connection, cost)
        return transition

    def inventory(self, account: str, instance: str) -> Inventory:
        """Return the newest inventory of an instance. Raises StoreError if it has none."""
        with self._database.read() as connection:
            return load_inventory(connection, account, instance)

    def evaluate(self, scan: Scan, number: int) -> Evaluated:
        """EVALUATING to DELETING with the findings opened, kept and closed.

        The machine's packages are matched with the database of this number already. Raises
        LeaseLostError; then the findings are unchanged.
        """
        place = InstanceRef(scan.account, scan.region, scan.instance)
        now = self._clock()
        with self._database.write() as connection:
            transition = release(connection, scan, now, now, State.DELETING)
            return Evaluated(transition, _settle(connection, place, number, now))

    def save_agent_inventory(
        self, place: InstanceRef, inventory: Inventory, seen: SeenInventory
    ) -> None:
        """Replace an instance's inventory with one that its agent sent, in one transaction."""
        now = self._clock()
        origin = InventoryOrigin(
            place.account, place.region, place.instance, "", seen.captured_at or now
        )
        with self._database.write() as connection:
            store_inventory(connection, origin, inventory, now)
            note_seen(connection, place, seen, now)

    def evaluate_agent_inventory(self, place: InstanceRef, number: int) -> FindingChanges:
        """Open, keep and close the findings of an inventory that an agent sent.

        The machine's packages are matched with the database of this number already. Raises
        StoreError if the instance has no inventory.
        """
        now = self._clock()
        with self._database.write() as connection:
            return _settle(connection, place, number, now)

    def rows(
        self,
        *,
        account: str = "",
        instance: str = "",
        status: FindingStatus | None = FindingStatus.ACTIVE,
    ) -> Iterator[FindingRow]:
        """Yield findings, the most severe first, of all instances or of one."""
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
        """Count the active findings by (account, instance) and severity."""
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
        """Close all findings of instances that are gone or no longer scanned; return their number.

        Their inventories are not re-evaluated until the next scan.
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
                instance_refs = [InstanceRef(account, row.region, row.instance)
                          for row in connection.execute(query)]  # fmt: skip
            for instance_ref in instance_refs:
                with self._database.write() as connection:
                    hold(connection, account, instance_ref.instance)
                    count += retire(connection, instance_ref, now)
        return count


_COLUMNS = [
    findings.c[name]
    for name in (
        "id", "account", "region", "instance", "status", "first_observed", "last_observed",
        "updated_at", "closed_at",
    )
]  # fmt: skip


def _settle(
    connection: Connection, place: InstanceRef, number: int, now: datetime
) -> FindingChanges:
    """Reconcile an instance's findings with its inventory, which is matched."""
    row = hold(connection, place.account, place.instance)
    if row is None:
        raise StoreError("has no inventory yet", where=place.instance)
    if row.retired_at is not None:
        return FindingChanges()
    if is_gone(connection, place.account, place.instance):
        return FindingChanges(closed=retire(connection, place, now))
    observed = Observation(place, wanted(connection, row.content))
    state = InstanceState(observed, Status(row.status), row.content)
    judge = judge_with(connection, now)
    changes = reconcile.settle(connection, [state], judge, now, observed=True)
    note_evaluated(connection, place.account, place.instance, number, now)
    return changes


def row_of(row: Any) -> FindingRow:
    """Build a FindingRow from a finding's columns and its vulnerability details."""
    values = {column.name: getattr(row, column.name) for column in _COLUMNS}
    values["status"] = FindingStatus(row.status)
    return FindingRow(finding=codec.load(Finding, row.document), **values)


def retire(connection: Connection, instance: InstanceRef, now: datetime) -> int:
    """Close an instance's open findings, and exclude its inventory from re-evaluation."""
    closed = reconcile.open_findings(connection, instance.account, instance.instance)
    changes = reconcile.close(connection, closed, now, KEPT_OF_RETIRED)
    connection.execute(
        update(inventories)
        .where(
            inventories.c.account == instance.account, inventories.c.instance == instance.instance
        )
        .values(retired_at=now)
    )
    outbox.announce(connection, changes, now)
    return len(closed)


def wanted(
    connection: Connection, content: int, keys: Collection[str] | None = None
) -> dict[str, int]:
    """Return the vulnerability details of a package set by key; of these keys, or all."""
    query = (
        select(finding_details.c.key, finding_details.c.id)
        .join(set_software, set_software.c.software == finding_details.c.software)
        .where(set_software.c.content == content, finding_details.c.current)
        .order_by(finding_details.c.id.desc())
    )
    rows = connection.execute(query)
    return {row.key: row.id for row in rows if keys is None or row.key in keys}
