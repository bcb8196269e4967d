"""Retention: delete expired scans and closed findings, and packages that no machine has.

Each transaction deletes a bounded number of rows, so that the workers can write in between.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, exists, or_, select, update

from sidelight.findings import EVENTS_KEPT, KEPT_CLOSED
from sidelight.model import AccountStatus, State
from sidelight.store.base.counters import increment
from sidelight.store.base.dialect import PART, parts
from sidelight.store.base.ordered_join import same_instance
from sidelight.store.base.schema import (
    account_configurations,
    agent_inventories,
    audit_records,
    coverage_changes,
    disk_readings,
    events,
    finding_details,
    finding_events,
    finding_terms,
    findings,
    fleet_events,
    instances,
    inventories,
    package_sets,
    scan_sources,
    scans,
    set_software,
    snapshots,
    software,
    software_names,
    stage_times,
    unreached_details,
)
from sidelight.store.inventories.package_index import remove_sets
from sidelight.store.inventories.package_sets import PACKAGES
from sidelight.store.scans.costs import add_up

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Table

    from sidelight.store.base.clock import Clock
    from sidelight.store.base.engine import Database

AT_ONCE = 1000
KEPT_OF_DISABLED = timedelta(hours=24)  # findings of a disabled account, as in Inspector
# What is known of an agent's inventory: without it, the inventory is evaluated once more.
SEEN_KEPT = timedelta(days=30)
AUDIT_KEPT = timedelta(days=400)
COVERAGE_CHANGES_KEPT = timedelta(days=90)
SETS_AT_ONCE = 20  # of some hundreds of packages each
TIMES_KEPT = timedelta(days=30)
SCANS_KEPT = timedelta(days=30)  # with receipts and events; afterwards only their costs per day
# Longer than the interval in which a use is recorded (software.USE_IS_NOTED), and far longer than
# a transaction.
UNUSED_FOR = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class RetentionResult:
    """The numbers of deleted rows."""

    findings: int = 0
    events: int = 0
    inventories: int = 0
    package_sets: int = 0
    packages: int = 0
    details: int = 0
    stage_times: int = 0
    scans: int = 0
    coverage_changes: int = 0
    agent_inventories: int = 0
    audit_records: int = 0


class Retention:
    """Deletes expired rows at each call; safe to run concurrently with everything else."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def run(self) -> RetentionResult:
        """Delete all expired rows; return their numbers."""
        now = self._clock()
        disabled = self._disabled(now - KEPT_OF_DISABLED)
        self._forget_instances(disabled, now)
        expired = (findings.c.expires_at <= now) | findings.c.account.in_(disabled)
        self._delete(unreached_details, unreached_details.c.first, _UNUSED_PAIR)
        result = RetentionResult(
            findings=self._delete(findings, findings.c.id, expired),
            events=self._delete(
                finding_events, finding_events.c.sequence, finding_events.c.at <= now - EVENTS_KEPT
            )
            + self._delete(fleet_events, fleet_events.c.id, fleet_events.c.at <= now - EVENTS_KEPT),
            inventories=self._delete_retired(now - KEPT_CLOSED),
            details=self._delete(finding_details, finding_details.c.id, _UNUSED_DETAIL),
            stage_times=self._delete(
                stage_times, stage_times.c.scan, stage_times.c.ended_at <= now - TIMES_KEPT
            ),
            scans=self._delete_scans(now - SCANS_KEPT),
            coverage_changes=self._delete(
                coverage_changes,
                coverage_changes.c.id,
                coverage_changes.c.at <= now - COVERAGE_CHANGES_KEPT,
            ),
            agent_inventories=self._delete(
                agent_inventories,
                agent_inventories.c.instance,
                agent_inventories.c.seen_at <= now - SEEN_KEPT,
            ),
            audit_records=self._delete(
                audit_records, audit_records.c.id, audit_records.c.at <= now - AUDIT_KEPT
            ),
            **self._delete_sets(now - UNUSED_FOR),
        )
        self._delete(finding_terms, finding_terms.c.detail, _UNUSED_TERMS)
        self._delete(disk_readings, disk_readings.c.instance, _UNUSED_READING)
        return result

    def _disabled(self, before: datetime) -> list[str]:
        """Return the accounts that were disabled before then, and were not enabled since."""
        table = account_configurations
        query = select(table.c.account).where(
            table.c.status != AccountStatus.ENABLED.value, table.c.disabled_at <= before
        )
        with self._database.read() as connection:
            return list(connection.execute(query.order_by(table.c.account)).scalars())

    def _forget_instances(self, accounts: Sequence[str], now: datetime) -> None:
        """Mark these accounts' instances as gone, and retire their inventories."""
        for account in accounts:
            with self._database.write() as connection:
                known = instances.c.account == account, instances.c.gone_at.is_(None)
                connection.execute(update(instances).where(*known).values(gone_at=now))
                held = inventories.c.account == account, inventories.c.retired_at.is_(None)
                connection.execute(update(inventories).where(*held).values(retired_at=now))

    def _delete(self, table: Table, key: Any, condition: Any) -> int:
        count = 0
        while True:
            with self._database.write() as connection:
                ids = connection.execute(select(key).where(condition).limit(AT_ONCE)).scalars()
                ids_found = list(ids)
                # Check the condition again: a finding may have been reopened since the select.
                done = delete(table).where(key.in_(ids_found), condition)
                count += connection.execute(done).rowcount
            if len(ids_found) < AT_ONCE:
                return count

    def _delete_scans(self, before: datetime) -> int:
        """Delete scans that ended before then, except an instance's last scan and last DONE scan.

        A scan with an undeleted snapshot is kept as well: its row proves that the snapshot is
        ours.
        """
        count = 0
        while True:
            with self._database.write() as connection:
                query = select(scans.c.id).where(scans.c.finished_at <= before, _OUTLIVED, ~_LEFT)
                candidates = list(connection.execute(query.limit(PART)).scalars())
                gone = connection.execute(
                    delete(scans)
                    .where(scans.c.id.in_(candidates))
                    .returning(scans.c.id, scans.c.account, scans.c.region, scans.c.created_at)
                ).all()
                # If two processes run retention at once, only the one that deleted a scan adds
                # its costs.
                ids = [row.id for row in gone]
                add_up(connection, gone)
                for table in (snapshots, scan_sources, events):
                    connection.execute(delete(table).where(table.c.scan.in_(ids)))
                count += len(gone)
            if len(candidates) < PART:
                return count

    def _delete_retired(self, before: datetime) -> int:
        with self._database.write() as connection:
            return connection.execute(
                delete(inventories).where(inventories.c.retired_at <= before)
            ).rowcount

    def _delete_sets(self, before: datetime) -> dict[str, int]:
        """Delete package sets without an inventory, and packages that are in no other set.

        A set that is stored at the same time may have the same packages: it waits (see store_set).
        """
        sets = packages = 0
        condition = (package_sets.c.used_at <= before) & ~exists().where(
            inventories.c.content == package_sets.c.id
        )
        while True:
            with self._database.write() as connection:
                increment(connection, PACKAGES)
                query = select(package_sets.c.id).where(condition).limit(SETS_AT_ONCE)
                candidates = list(connection.execute(query).scalars())
                done = delete(package_sets).where(package_sets.c.id.in_(candidates), condition)
                gone = list(connection.execute(done.returning(package_sets.c.id)).scalars())
                remove_sets(connection, gone)
                sets += len(gone)
                packages += _delete_software(connection, gone)
            if len(candidates) < SETS_AT_ONCE:
                return {"package_sets": sets, "packages": packages}


# A superseded scan: its instance has a later scan, or is gone.
_LATER = scans.alias("later")
_OF_IT = (same_instance(_LATER, scans), _LATER.c.created_at > scans.c.created_at)
_OUTLIVED = or_(
    exists().where(*_OF_IT, _LATER.c.state == State.DONE.value),
    exists().where(*_OF_IT) & (scans.c.state != State.DONE.value),
    exists().where(
        same_instance(instances, scans),
        instances.c.gone_at.is_not(None),
    ),
)

_LEFT = exists().where(snapshots.c.scan == scans.c.id, snapshots.c.deleted_at.is_(None))

# Vulnerability details of a deleted package without a finding or an event.
_UNUSED_DETAIL = (
    ~exists().where(software.c.id == finding_details.c.software)
    & ~exists().where(findings.c.detail == finding_details.c.id)
    & ~exists().where(finding_events.c.detail == finding_details.c.id)
    & ~exists().where(unreached_details.c.first == finding_details.c.id)
    & ~exists().where(unreached_details.c.detail == finding_details.c.id)
)

# The two rows belong together as long as one of them is used.
_UNUSED_PAIR = (
    ~exists().where(
        finding_details.c.id == unreached_details.c.first,
        software.c.id == finding_details.c.software,
    )
    & ~exists().where(findings.c.detail == unreached_details.c.first)
    & ~exists().where(findings.c.detail == unreached_details.c.detail)
)

_UNUSED_TERMS = ~exists().where(finding_details.c.id == finding_terms.c.detail)

# Of an instance that is gone: there is nothing left to compare with.
_UNUSED_READING = exists().where(
    same_instance(instances, disk_readings), instances.c.gone_at.is_not(None)
)


def _delete_software(connection: Connection, sets: list[int]) -> int:
    """Delete the rows of deleted sets, and packages in no other set; return their number."""
    query = select(set_software.c.software).where(set_software.c.content.in_(sets)).distinct()
    candidates = list(connection.execute(query).scalars())
    connection.execute(delete(set_software).where(set_software.c.content.in_(sets)))
    count = 0
    for part in parts(candidates):
        orphan = software.c.id.in_(part) & ~exists().where(set_software.c.software == software.c.id)
        gone = connection.execute(delete(software).where(orphan).returning(software.c.id))
        ids = list(gone.scalars())
        connection.execute(delete(software_names).where(software_names.c.software.in_(ids)))
        count += len(ids)
    return count
