"""Inventories and findings: the packages of a machine, and its vulnerabilities.

An inventory is durable: a new advisory is matched with the stored inventories, without a new
snapshot (see reevaluation.py).
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Connection, func, select, update

from sidelight.completeness import COMPLETE_SCAN
from sidelight.errors import StoreError
from sidelight.findings import KEPT_OF_RETIRED, Observation
from sidelight.model import (
    Cost,
    FindingChanges,
    FindingRow,
    FindingStatus,
    FindingType,
    InstanceRef,
    Inventory,
    Scan,
    ScanType,
    Severity,
    State,
    Status,
    Transition,
)
from sidelight.model.coverage_reasons import CLOSING, TERMINATED
from sidelight.store.base import documents as codec
from sidelight.store.base.dialect import one_of, parts
from sidelight.store.base.fleet_events import note_first_scan
from sidelight.store.base.ordered_join import is_instance, same_instance
from sidelight.store.base.schema import (
    coverage,
    finding_details,
    findings,
    inventories,
)
from sidelight.store.findings import outbox, reconcile
from sidelight.store.findings.exposure import expose
from sidelight.store.findings.finding_documents import load_finding
from sidelight.store.findings.observed_times import LAST_OBSERVED
from sidelight.store.findings.reconcile import InstanceState
from sidelight.store.findings.row_columns import ROW_IS_ACTIVE, ROW_STATUS, ROW_TYPE
from sidelight.store.findings.suppression_rules import judge_with
from sidelight.store.findings.vulnerability_details import wanted
from sidelight.store.instances.decided_coverage import not_scanned
from sidelight.store.instances.disk_readings import replace_disk_reading
from sidelight.store.inventories.agent_inventories import note_seen
from sidelight.store.inventories.inventories import (
    InventoryOrigin,
    hold,
    load_inventory,
    note_evaluated,
    of_scan,
    store_inventory,
)
from sidelight.store.scans.costs import add_cost
from sidelight.store.scans.transitions import release

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from datetime import datetime

    from sqlalchemy import Label, Select

    from sidelight.model import ConfiguredListener, Finding, NetworkFinding, SeenInventory
    from sidelight.store.base.clock import Clock
    from sidelight.store.base.column_types import SqlColumn, SqlRow
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
        """Replace an instance's inventory with one that its agent sent, in one transaction.

        It is taken when the agent captured it, by the agent's clock; a time to come is now.
        """
        now = self._clock()
        taken_at = min(seen.captured_at or now, now)
        origin = InventoryOrigin(place.account, place.region, place.instance, "", taken_at)
        with self._database.write() as connection:
            store_inventory(connection, origin, inventory, now)
            replace_disk_reading(connection, place.account, place.instance, now)
            note_seen(connection, place, seen, now)

    def evaluate_agent_inventory(
        self, place: InstanceRef, number: int, unjudged: frozenset[str] = frozenset()
    ) -> FindingChanges:
        """Open, keep and close the findings of an inventory that an agent sent.

        Findings of packages of a type in `unjudged` are not closed. The machine's packages are
        matched with the database of this number already. Raises StoreError if the instance has no
        inventory.
        """
        now = self._clock()
        with self._database.write() as connection:
            return _settle(connection, place, number, now, unjudged)

    def rows(
        self,
        *,
        account: str = "",
        instance: str = "",
        status: FindingStatus | None = FindingStatus.ACTIVE,
        kind: FindingType | None = None,
    ) -> Iterator[FindingRow]:
        """Yield findings, the most severe first, of all instances or of one; of one type or all."""
        query = (
            select(*COLUMNS, *_DETAIL, observed_again())
            .join(finding_details, finding_details.c.id == findings.c.detail)
            .outerjoin(coverage, OF_NETWORK)
            .order_by(findings.c.instance, findings.c.id)
        )
        if account:
            query = query.where(findings.c.account == account)
        if instance:
            query = query.where(findings.c.instance == instance)
        columns = (ROW_STATUS, ROW_TYPE) if instance else (findings.c.status, findings.c.type)
        for column, value in zip(columns, (status, kind), strict=True):
            if value is not None:
                query = query.where(column == value.value)
        with self._database.read() as connection:
            rows = [row_of(row) for row in connection.execute(query).all()]
        yield from sorted(rows, key=lambda row: -row.finding.severity.rank)

    def listeners(
        self, instances: Iterable[tuple[str, str]]
    ) -> dict[tuple[str, str], tuple[ConfiguredListener, ...]]:
        """Return the listeners of the inventories of these instances (account, id)."""
        wanted = set(instances)
        found = {}
        columns = inventories.c.account, inventories.c.instance, inventories.c.document
        with self._database.read() as connection:
            for part in parts(sorted({instance for _, instance in wanted})):
                query = select(*columns).where(
                    inventories.c.instance.in_(part), inventories.c.retired_at.is_(None)
                )
                for row in connection.execute(query):
                    if (row.account, row.instance) in wanted:
                        machine = codec.unpack(Inventory, row.document)
                        found[row.account, row.instance] = machine.listeners
        return found

    def severities(
        self, kind: FindingType | None = None
    ) -> dict[tuple[str, str], dict[Severity, int]]:
        """Count the active findings, of one type or all, by (account, instance) and severity."""
        severity = finding_details.c.severity
        query = (
            select(findings.c.account, findings.c.instance, severity, func.count())
            .join(finding_details, finding_details.c.id == findings.c.detail)
            .where(findings.c.status == FindingStatus.ACTIVE.value)
            .group_by(findings.c.account, findings.c.instance, severity)
        )
        if kind is not None:
            query = query.where(findings.c.type == kind.value)
        counts: dict[tuple[str, str], dict[Severity, int]] = {}
        with self._database.read() as connection:
            for account, instance, grade, count in connection.execute(query):
                counts.setdefault((account, instance), {})[Severity(grade)] = count
        return counts

    def close_instances(
        self, account: str, instances: Collection[str], kind: FindingType | None = None
    ) -> int:
        """Close the findings of instances that are gone or no longer scanned; return their number.

        Of all types, or of one. Without package findings, their inventories are not re-evaluated
        until the next scan.
        """
        now = self._clock()
        count = 0
        for part in parts(sorted(instances)):
            with self._database.read() as connection:
                instance_refs = _to_close(connection, account, part, kind)
            for instance_ref in instance_refs:
                with self._database.write() as connection:
                    hold(connection, account, instance_ref.instance)
                    count += retire(connection, instance_ref, now, kind)
        return count


COLUMNS: list[SqlColumn] = [
    *(
        findings.c[name]
        for name in (
            "id", "account", "region", "instance", "status", "first_observed", "updated_at",
            "closed_at",
        )
    ),
    LAST_OBSERVED.label("last_observed"),
]  # fmt: skip


_DETAIL = (finding_details.c.document, finding_details.c.type)


def _to_close(
    connection: Connection, account: str, instances: Sequence[str], kind: FindingType | None
) -> list[InstanceRef]:
    """Return those instances that have open findings, or an inventory that is re-evaluated."""
    found: set[InstanceRef] = set()
    if kind is not FindingType.NETWORK_REACHABILITY:
        query = select(inventories.c.region, inventories.c.instance).where(
            inventories.c.account == account,
            inventories.c.instance.in_(instances),
            inventories.c.retired_at.is_(None),
        )
        found |= {InstanceRef(account, *row) for row in connection.execute(query)}
    is_open = [
        findings.c.account == account,
        findings.c.instance.in_(instances),
        findings.c.status != FindingStatus.CLOSED.value,
    ]
    if kind is not None:
        is_open.append(kind.value == ROW_TYPE)
    query = select(findings.c.region, findings.c.instance).where(*is_open).distinct()
    return sorted(found | {InstanceRef(account, *row) for row in connection.execute(query)})


def _settle(
    connection: Connection,
    place: InstanceRef,
    number: int,
    now: datetime,
    unjudged: frozenset[str] = frozenset(),
) -> FindingChanges:
    """Reconcile an instance's findings with its inventory, which is matched."""
    row = hold(connection, place.account, place.instance)
    if row is None:
        raise StoreError("has no inventory yet", where=place.instance)
    if row.retired_at is not None:
        return FindingChanges()
    ended = not_scanned(connection, place.account, place.instance)
    if ended in CLOSING:
        only = None if ended == TERMINATED else FindingType.PACKAGE_VULNERABILITY
        return FindingChanges(closed=retire(connection, place, now, only))
    observed = Observation(place, wanted(connection, row.content))
    expose(connection, [observed], now)
    state = InstanceState(observed, Status(row.status), row.content, unjudged=unjudged)
    judge = judge_with(connection, now)
    changes = reconcile.settle(connection, [state], judge, now, observed=True)
    note_evaluated(connection, place.account, place.instance, number, now)
    if row.observed_at is None:
        note_first_scan(connection, place, _active_severities(connection, place), now)
    return changes


def _active_severities(connection: Connection, place: InstanceRef) -> dict[str, int]:
    """Count an instance's active package findings by severity."""
    key = {"of_account": place.account, "of_instance": place.instance}
    return {row[0]: row[1] for row in connection.execute(_counting_severities(), key)}


@cache
def _counting_severities() -> Select[Any]:
    severity = finding_details.c.severity
    return (
        select(severity, func.count())
        .join(findings, findings.c.detail == finding_details.c.id)
        .where(
            is_instance(findings),
            ROW_IS_ACTIVE,
            FindingType.PACKAGE_VULNERABILITY.value == ROW_TYPE,
        )
        .group_by(severity)
    )


def row_of(row: Any) -> FindingRow:
    """Build a FindingRow from a finding's columns and its details."""
    return finding_row(row, load_finding(row.type, row.document))


def finding_row(row: Any, finding: Finding | NetworkFinding) -> FindingRow:
    """Build a FindingRow from a finding's columns and its decoded details."""
    values = {column.name: getattr(row, column.name) for column in COLUMNS}
    values["status"] = FindingStatus(row.status)
    if row.observed_again is not None and values["status"] is not FindingStatus.CLOSED:
        values["last_observed"] = max(row.last_observed, row.observed_again)
    return FindingRow(finding=finding, **values)


# A network finding that stays is not written at every evaluation: the coverage of its instance has
# the time of the last one.
OF_NETWORK = (
    same_instance(coverage, findings)
    & (coverage.c.scan_type == ScanType.NETWORK.value)
    & (coverage.c.reason == COMPLETE_SCAN)
    & (findings.c.type == FindingType.NETWORK_REACHABILITY.value)
)


def observed_again() -> Label[datetime]:
    """Select when a network finding was last observed; NULL for others. Join by OF_NETWORK."""
    return coverage.c.scanned_at.label("observed_again")


def rows_by_id(connection: Connection, ids: Collection[int]) -> dict[int, FindingRow]:
    """Return findings by id, with their details; unknown ids are left out."""
    return {
        row.id: row_of(row)
        for part in parts(sorted(ids))
        for row in connection.execute(by_id_query(connection, part))
    }


def by_id_query(connection: Connection, ids: Sequence[int]) -> Select[SqlRow]:
    """Select the columns of `row_of` by id."""
    return (
        select(*COLUMNS, *_DETAIL, observed_again())
        .join(finding_details, finding_details.c.id == findings.c.detail)
        .outerjoin(coverage, OF_NETWORK)
        .where(one_of(connection, findings.c.id, ids))
    )


def retire(
    connection: Connection, instance: InstanceRef, now: datetime, kind: FindingType | None = None
) -> int:
    """Close an instance's open findings, of all types or of one.

    Without package findings its inventory is excluded from re-evaluation.
    """
    closed = [
        finding
        for finding in reconcile.open_findings(connection, instance.account, instance.instance)
        if kind is None or finding.type == kind.value
    ]
    changes = reconcile.close(connection, closed, now, KEPT_OF_RETIRED)
    if kind is not FindingType.NETWORK_REACHABILITY:
        connection.execute(
            update(inventories)
            .where(
                inventories.c.account == instance.account,
                inventories.c.instance == instance.instance,
            )
            .values(retired_at=now)
        )
    outbox.announce(connection, changes, now)
    return len(closed)
