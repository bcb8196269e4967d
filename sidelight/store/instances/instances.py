"""The discovered instances, and their coverage."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, select, update

from sidelight.model import (
    TERMINAL,
    Coverage,
    DiskReading,
    Instance,
    Known,
    Scan,
    ScanMode,
    ScanType,
    State,
    Transition,
)
from sidelight.model.coverage_reasons import OUTLASTING_SCANS, TERMINATED
from sidelight.store.base import documents
from sidelight.store.base.dialect import parts
from sidelight.store.base.ordered_join import is_instance
from sidelight.store.base.schema import coverage, instances
from sidelight.store.instances.coverage_rows import (
    entries_before,
    read_coverage,
    write_coverage,
)
from sidelight.store.instances.decided_coverage import (
    network_ends,
    not_scanned,
    of_enabled,
    planned_coverage,
    still_agent_based,
)
from sidelight.store.instances.discovered_rows import mark_gone, write_changed
from sidelight.store.instances.disk_readings import read_disk_readings, write_disk_reading
from sidelight.store.instances.known_instances import stored_with_history, with_history
from sidelight.store.scans.transitions import release

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime

    from sqlalchemy import Select

    from sidelight.store.base.clock import Clock
    from sidelight.store.base.engine import Database


AT_ONCE = 1000  # rows in a transaction


class FleetInstances:
    """Instances and coverage."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def discovered(
        self,
        account: str,
        region: str,
        found: Sequence[Instance],
        listed_at: datetime | None = None,
    ) -> list[str]:
        """Write the instances that a discovery of this account-region found.

        Return the ids of known instances that are missing from it and were not gone before. One
        that was seen after `listed_at`, when the discovery began to list, is not missing.
        """
        now = self._clock()
        self._write(account, found, now)
        with self._database.write() as connection:
            known = connection.execute(
                select(instances.c.instance).where(
                    instances.c.account == account,
                    instances.c.region == region,
                    instances.c.gone_at.is_(None),
                    instances.c.seen_at <= (listed_at or now),
                )
            ).scalars()
            gone = sorted(set(known) - {instance.id for instance in found})
            mark_gone(connection, account, gone, now)
        return gone

    def looked_at(
        self, account: str, found: Sequence[Instance], ended: Collection[str]
    ) -> list[str]:
        """Write some instances, and that others have ended.

        Return the ids of the ended ones that were known and not gone before.
        """
        now = self._clock()
        self._write(account, found, now)
        gone: list[str] = []
        with self._database.write() as connection:
            for part in parts(sorted(ended)):
                gone += connection.execute(
                    select(instances.c.instance).where(
                        instances.c.account == account,
                        instances.c.instance.in_(part),
                        instances.c.gone_at.is_(None),
                    )
                ).scalars()
            mark_gone(connection, account, gone, now)
        return gone

    def _write(self, account: str, found: Sequence[Instance], now: datetime) -> None:
        # In parts, so that the workers' short writes can run in between.
        for begin in range(0, len(found), AT_ONCE):
            part = found[begin : begin + AT_ONCE]
            with self._database.write() as connection:
                write_changed(connection, account, part, now)

    def instance(self, account: str, instance_id: str) -> Instance | None:
        """Return one instance as last discovered; None if unknown."""
        key = {"of_account": account, "of_instance": instance_id}
        with self._database.read() as connection:
            document = connection.execute(_document_of(), key).scalar()
        return None if document is None else documents.load(Instance, document)

    def is_gone(self, account: str, instance_id: str) -> bool:
        """Return whether the last discovery did not find a known instance."""
        query = select(instances.c.gone_at).where(
            instances.c.account == account, instances.c.instance == instance_id
        )
        with self._database.read() as connection:
            return connection.execute(query).scalar() is not None

    def not_scanned(self, account: str, instance_id: str) -> str:
        """Return the reason for which an instance is not scanned any more; empty where it is.

        RESOURCE_TERMINATED of a known instance that the last discovery did not find.
        """
        with self._database.read() as connection:
            return not_scanned(connection, account, instance_id)

    def with_history(self, account: str, region: str, found: Sequence[Instance]) -> list[Known]:
        """Return a discovery's instances with the times of their last scan and last attempt.

        As `known`, for a caller that already has the instances: no document is read. Those that
        are gone since are left out.
        """
        now = self._clock()
        with self._database.read() as connection:
            return with_history(connection, account, region, found, now)

    def known(self, *, account: str = "", region: str = "") -> list[Known]:
        """Return all instances that are not gone, with the times of last scan and attempt."""
        with self._database.read() as connection:
            return stored_with_history(connection, account, region)

    def cover(self, rows: Sequence[Coverage]) -> None:
        """Write coverage rows. A `scanned_at` of None keeps the stored value.

        Of accounts that were disabled since the rows were decided on nothing is written.
        """
        now = self._clock()
        for begin in range(0, len(rows), AT_ONCE):
            with self._database.write() as connection:
                wanted = of_enabled(connection, rows[begin : begin + AT_ONCE])
                write_coverage(connection, wanted, now)

    def restore(self, account: str, names: Sequence[str]) -> None:
        """Write the results of the last scans of instances whose account or Region was denied."""
        now = self._clock()
        for part in parts(sorted(names)):
            with self._database.write() as connection:
                before = entries_before(connection, account, part)
                write_coverage(connection, of_enabled(connection, before), now)

    def cover_networks(
        self, rows: Sequence[Coverage], described_at: datetime
    ) -> dict[tuple[str, str], str]:
        """Write network coverage of those instances that are still evaluated.

        Return why others are not any more, by account and instance: one that was excluded since the
        rows were read keeps its entry, and one that is gone says so. One that a discovery has found
        to be stopped or started since `described_at`, when its state was read, keeps its entry too.
        """
        now = self._clock()
        ended: dict[tuple[str, str], str] = {}
        for begin in range(0, len(rows), AT_ONCE):
            with self._database.write() as connection:
                part = of_enabled(connection, rows[begin : begin + AT_ONCE])
                decided, newer = network_ends(connection, part, described_at)
                wanted = [
                    row
                    if (row.account, row.instance) not in decided
                    else replace(row, status_code="INACTIVE", reason=TERMINATED, detail="")
                    for row in part
                    if (row.account, row.instance) not in newer
                    and decided.get((row.account, row.instance), TERMINATED) == TERMINATED
                ]
                write_coverage(connection, wanted, now)
            ended |= decided
        return ended

    def cover_by_agents(self, rows: Sequence[Coverage]) -> None:
        """Write coverage of those instances that are still scanned by their agents.

        One that was stopped, excluded or terminated since the rows were read keeps its entry.
        """
        now = self._clock()
        for begin in range(0, len(rows), AT_ONCE):
            with self._database.write() as connection:
                present = still_agent_based(connection, rows[begin : begin + AT_ONCE])
                write_coverage(connection, present, now)

    def explain(self, account: str, instance: str, detail: str) -> None:
        """Write why an instance's scan waits to the detail of its coverage, until the scan ends.

        One that is not scanned any more keeps the reason for that.
        """
        row = (
            coverage.c.account == account,
            coverage.c.instance == instance,
            coverage.c.scan_type == ScanType.PACKAGE.value,
            coverage.c.reason.not_in({*OUTLASTING_SCANS, TERMINATED}),
        )
        values = {"detail": detail, "updated_at": self._clock()}
        with self._database.write() as connection:
            connection.execute(update(coverage).where(*row).values(**values))

    def uncover(
        self, account: str, instances: Sequence[str], scan_mode: ScanMode | None = None
    ) -> None:
        """Delete the coverage of these instances, if they have any, or only that of a scan mode."""
        unwanted = delete(coverage).where(
            coverage.c.account == account, coverage.c.instance.in_(instances)
        )
        if scan_mode is not None:
            unwanted = unwanted.where(coverage.c.scan_mode == scan_mode.value)
        with self._database.write() as connection:
            connection.execute(unwanted)

    def network_states(self, account: str, region: str) -> dict[str, tuple[str, str]]:
        """Return status code and reason of the network coverage of an account-region, by id."""
        query = select(coverage.c.instance, coverage.c.status_code, coverage.c.reason).where(
            coverage.c.account == account,
            coverage.c.region == region,
            coverage.c.scan_type == ScanType.NETWORK.value,
        )
        with self._database.read() as connection:
            return {
                row.instance: (row.status_code, row.reason) for row in connection.execute(query)
            }

    def names(self, account: str, ids: Iterable[str]) -> dict[str, str]:
        """Return the names of the covered instances among these, by id."""
        found: dict[str, str] = {}
        with self._database.read() as connection:
            for part in parts(sorted(ids)):
                query = select(coverage.c.instance, coverage.c.name).where(
                    coverage.c.account == account, coverage.c.instance.in_(part)
                )
                found |= {row.instance: row.name for row in connection.execute(query) if row.name}
        return found

    def counts(self, accounts: Collection[str] | None = None) -> dict[str, int]:
        """Count the instances that are not gone, by account; of these accounts, or of all."""
        query = (
            select(instances.c.account, func.count().label("number"))
            .where(instances.c.gone_at.is_(None))
            .group_by(instances.c.account)
        )
        if accounts is not None:
            query = query.where(instances.c.account.in_(sorted(accounts)))
        with self._database.read() as connection:
            return {row.account: int(row.number) for row in connection.execute(query)}

    def regions(self, account: str) -> list[str]:
        """Return the regions in which the account has or had instances."""
        query = select(instances.c.region).where(instances.c.account == account).distinct()
        with self._database.read() as connection:
            return sorted(connection.execute(query).scalars())

    def uncover_account(self, account: str) -> int:
        """Delete all coverage of an account; its history stays for its time."""
        with self._database.write() as connection:
            gone = connection.execute(delete(coverage).where(coverage.c.account == account))
            return gone.rowcount

    def coverage(
        self,
        scan_type: ScanType | None = ScanType.PACKAGE,
        *,
        account: str = "",
        region: str = "",
    ) -> list[Coverage]:
        """Return the coverage of a scan type, or of all, by account, region and instance.

        Of all accounts and Regions, or of these.

        A re-evaluation of a stored inventory updates `scanned_at` as well: as in Inspector, a scan
        is a comparison with the current advisories.
        """
        with self._database.read() as connection:
            return read_coverage(connection, scan_type, account, region)

    def disk_readings(self, account: str, ids: Iterable[str]) -> dict[str, DiskReading]:
        """Return the last read of the disks of these instances, by id."""
        with self._database.read() as connection:
            return read_disk_readings(connection, account, ids)

    def finish(
        self, scan: Scan, to: State, covered: Coverage, reading: DiskReading | None = None
    ) -> Transition:
        """DELETING to DONE or FAILED, with the instance's coverage, in one transaction.

        `reading` replaces the record of the instance's last read.

        If the instance is gone, its coverage is RESOURCE_TERMINATED, whatever the scan's result.
        If its agent took over while the scan ran, or planning decided that it is not scanned any
        more, that entry stays, and a read of the snapshots moves its time.
        """
        if to not in TERMINAL:
            raise ValueError(f"{to} is not an end")
        now = self._clock()
        key = {"of_account": scan.account, "of_instance": scan.instance}
        with self._database.write() as connection:
            # Locked: a discovery without it writes its coverage either before or after this.
            if connection.execute(_locked_time_of_end(), key).scalar() is not None:
                covered = replace(covered, status_code="INACTIVE", reason=TERMINATED, detail="")
            elif (planned := planned_coverage(connection, scan)) is not None:
                covered = replace(
                    planned, scanned_at=covered.scanned_at, data_at=None, data_source=""
                )
            transition = release(connection, scan, now, now, to)
            write_coverage(connection, [covered], now)
            if reading is not None:
                write_disk_reading(connection, reading)
        return transition


@cache
def _document_of() -> Select[Any]:
    return select(instances.c.document).where(is_instance(instances))


@cache
def _locked_time_of_end() -> Select[Any]:
    query = select(instances.c.gone_at).where(is_instance(instances))
    return query.with_for_update()
