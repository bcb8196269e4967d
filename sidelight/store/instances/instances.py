"""The discovered instances, and their coverage."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Label, Row, Select, delete, func, select, update

from sidelight.model import (
    TERMINAL,
    Coverage,
    Instance,
    Known,
    Scan,
    ScanType,
    State,
    Transition,
)
from sidelight.store.base import documents
from sidelight.store.base.dialect import PART
from sidelight.store.base.schema import LIVE_SCAN, coverage, instances, inventories, scans
from sidelight.store.instances.coverage_rows import upsert, write_coverage
from sidelight.store.scans.transitions import release

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sidelight.store.base.clock import Clock
    from sidelight.store.base.engine import Database


AT_ONCE = 1000  # rows in a transaction


class FleetInstances:
    """Instances and coverage."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def discovered(self, account: str, region: str, found: Sequence[Instance]) -> list[str]:
        """Write the instances that a discovery of this account-region found.

        Return the ids of known instances that are missing from it and were not gone before.
        """
        now = self._clock()
        # In parts, so that the workers' short writes can run in between.
        for begin in range(0, len(found), AT_ONCE):
            part = [_row(instance, now) for instance in found[begin : begin + AT_ONCE]]
            with self._database.write() as connection:
                _write_changed(connection, account, part, now)
        with self._database.write() as connection:
            known = connection.execute(
                select(instances.c.instance).where(
                    instances.c.account == account,
                    instances.c.region == region,
                    instances.c.gone_at.is_(None),
                )
            ).scalars()
            gone = sorted(set(known) - {instance.id for instance in found})
            for instance_id in gone:
                connection.execute(
                    update(instances)
                    .where(instances.c.account == account, instances.c.instance == instance_id)
                    .values(gone_at=now)
                )
        return gone

    def instance(self, account: str, instance_id: str) -> Instance | None:
        """Return one instance as last discovered; None if unknown."""
        query = select(instances.c.document).where(
            instances.c.account == account, instances.c.instance == instance_id
        )
        with self._database.read() as connection:
            document = connection.execute(query).scalar()
        return None if document is None else documents.load(Instance, document)

    def is_gone(self, account: str, instance_id: str) -> bool:
        """Return whether the last discovery did not find a known instance."""
        query = select(instances.c.gone_at).where(
            instances.c.account == account, instances.c.instance == instance_id
        )
        with self._database.read() as connection:
            return connection.execute(query).scalar() is not None

    def with_history(self, account: str, region: str, found: Sequence[Instance]) -> list[Known]:
        """Return a discovery's instances with the times of their last scan and last attempt.

        As `known`, for a caller that already has the instances: no document is read.
        """
        history = (
            select(instances.c.instance, *_history(), *_COVERED)
            .outerjoin(coverage, _COVERS)
            .where(instances.c.account == account, instances.c.region == region)
        )
        if len(found) <= PART:
            history = history.where(instances.c.instance.in_([item.id for item in found]))
        now = self._clock()
        with self._database.read() as connection:
            rows = {row.instance: row for row in connection.execute(history)}
        return [
            Known(instance, now)
            if (row := rows.get(instance.id)) is None
            else Known(
                instance,
                now,
                None,
                row.scanned_at,
                row.tried_at,
                row.live_scan or "",
                _state(row),
            )
            for instance in found
        ]

    def known(self, *, account: str = "", region: str = "") -> list[Known]:
        """Return all instances that are not gone, with the times of last scan and attempt."""
        query = (
            select(
                instances.c.document, instances.c.seen_at, instances.c.gone_at, *_history(),
                *_COVERED,
            )
            .outerjoin(coverage, _COVERS)
            .where(instances.c.gone_at.is_(None))
            .order_by(instances.c.account, instances.c.region, instances.c.instance)
        )  # fmt: skip
        if account:
            query = query.where(instances.c.account == account)
        if region:
            query = query.where(instances.c.region == region)
        with self._database.read() as connection:
            return [
                Known(
                    documents.load(Instance, row.document), row.seen_at, row.gone_at,
                    row.scanned_at, row.tried_at, row.live_scan or "", _state(row),
                )
                for row in connection.execute(query)
            ]  # fmt: skip

    def cover(self, rows: Sequence[Coverage]) -> None:
        """Write coverage rows. A `scanned_at` of None keeps the stored value."""
        now = self._clock()
        for begin in range(0, len(rows), AT_ONCE):
            with self._database.write() as connection:
                write_coverage(connection, rows[begin : begin + AT_ONCE], now)

    def explain(self, account: str, instance: str, detail: str) -> None:
        """Write why an instance's scan waits to the detail of its coverage, until the scan ends."""
        row = (
            coverage.c.account == account,
            coverage.c.instance == instance,
            coverage.c.scan_type == ScanType.PACKAGE.value,
        )
        values = {"detail": detail, "updated_at": self._clock()}
        with self._database.write() as connection:
            connection.execute(update(coverage).where(*row).values(**values))

    def uncover(self, account: str, instances: Sequence[str]) -> None:
        """Delete the coverage of these instances, if they have any."""
        with self._database.write() as connection:
            connection.execute(
                delete(coverage).where(
                    coverage.c.account == account, coverage.c.instance.in_(instances)
                )
            )

    def counts(self) -> dict[str, int]:
        """Count the instances that are not gone, by account."""
        query = (
            select(instances.c.account, func.count().label("number"))
            .where(instances.c.gone_at.is_(None))
            .group_by(instances.c.account)
        )
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

    def coverage(self, scan_type: ScanType | None = ScanType.PACKAGE) -> list[Coverage]:
        """Return all coverage of a scan type, or of all, by account, region and instance.

        A re-evaluation of a stored inventory updates `scanned_at` as well: as in Inspector, a scan
        is a comparison with the current advisories.
        """
        columns = [coverage.c[name] for name in Coverage.__dataclass_fields__]
        of_it = inventories.c.account == coverage.c.account
        of_it &= inventories.c.instance == coverage.c.instance
        query: Select[object] = (
            select(*columns, inventories.c.evaluated_at)
            .outerjoin(inventories, of_it & inventories.c.retired_at.is_(None))
            .order_by(
                coverage.c.account, coverage.c.region, coverage.c.instance, coverage.c.scan_type
            )
        )  # fmt: skip
        if scan_type is not None:
            query = query.where(coverage.c.scan_type == scan_type.value)
        with self._database.read() as connection:
            return [_covered(row) for row in connection.execute(query)]

    def finish(self, scan: Scan, to: State, covered: Coverage) -> Transition:
        """DELETING to DONE or FAILED, with the instance's coverage, in one transaction.

        If the instance is gone, its coverage is RESOURCE_TERMINATED, whatever the scan's result.
        """
        if to not in TERMINAL:
            raise ValueError(f"{to} is no end")
        now = self._clock()
        # Locked: a discovery without the instance writes its coverage either before or after this.
        gone = (
            select(instances.c.gone_at)
            .where(instances.c.account == scan.account, instances.c.instance == scan.instance)
            .with_for_update()
        )
        with self._database.write() as connection:
            if connection.execute(gone).scalar() is not None:
                covered = replace(
                    covered, status_code="INACTIVE", reason="RESOURCE_TERMINATED", detail=""
                )
            transition = release(connection, scan, now, now, to)
            write_coverage(connection, [covered], now)
        return transition


_COVERED = (coverage.c.status_code, coverage.c.reason, coverage.c.scan_mode)
_COVERS = (
    (coverage.c.account == instances.c.account)
    & (coverage.c.instance == instances.c.instance)
    & (coverage.c.scan_type == ScanType.PACKAGE.value)
)


def _state(row: Any) -> tuple[str, str, str] | None:
    """Return the columns of _COVERED; None without coverage."""
    return None if row.reason is None else (row.status_code, row.reason, row.scan_mode)


def _covered(row: Row[Any]) -> Coverage:
    """Build Coverage from a row, with the time of the inventory's last evaluation."""
    values: dict[str, Any] = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public way
    evaluated, scanned = values.pop("evaluated_at"), values["scanned_at"]
    is_of_packages = values["scan_type"] == ScanType.PACKAGE.value
    if evaluated is not None and scanned is not None and is_of_packages:
        values["scanned_at"] = max(scanned, evaluated)
    return Coverage(**values)


def _history() -> list[Label[object]]:
    """Select each instance's last DONE scan, last created scan, and live scan.

    Only the newest scans are read, so the time does not depend on the number of scans.
    """
    of_it = (scans.c.account == instances.c.account, scans.c.instance == instances.c.instance)
    newest = scans.c.created_at.desc()
    done = select(scans.c.finished_at).where(*of_it, scans.c.state == State.DONE.value)
    tried = select(scans.c.created_at).where(*of_it)
    live = select(scans.c.id).where(*of_it, LIVE_SCAN)
    return [
        query.order_by(newest).limit(1).scalar_subquery().label(name)
        for query, name in ((done, "scanned_at"), (tried, "tried_at"), (live, "live_scan"))
    ]


def _write_changed(
    connection: Connection, account: str, rows: Sequence[dict[str, object]], now: datetime
) -> None:
    """Write new and changed instances; of unchanged ones write only the time they were seen."""
    here = instances.c.account == account
    ids = [row["instance"] for row in rows]
    query = select(instances.c.instance, instances.c.document, instances.c.region)
    as_it_was = {
        row.instance: (row.document, row.region)
        for row in connection.execute(
            query.where(here, instances.c.instance.in_(ids), instances.c.gone_at.is_(None))
        )
    }
    changed, same = [], []
    for row in rows:
        if as_it_was.get(row["instance"]) == (row["document"], row["region"]):
            same.append(row["instance"])
        else:
            changed.append(row)
    if changed:
        upsert(connection, instances, ("account", "instance"), changed)
    if same:
        seen = update(instances).where(here, instances.c.instance.in_(same))
        connection.execute(seen.values(seen_at=now))


def _row(instance: Instance, now: datetime) -> dict[str, object]:
    return {
        "account": instance.account,
        "instance": instance.id,
        "region": instance.region,
        "state": instance.state,
        "document": documents.dump(instance),
        "seen_at": now,
        "gone_at": None,
    }
