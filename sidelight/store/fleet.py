"""The instances that were discovered, and each one's coverage."""

from __future__ import annotations

from dataclasses import asdict, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Label, delete, select, update

from sidelight.model import Instance
from sidelight.store import codec
from sidelight.store.rows import TERMINAL, Coverage, Known, Scan, State
from sidelight.store.schema import LIVE_SCAN, coverage, instances, scans
from sidelight.store.statements import insert, once
from sidelight.store.transitions import release

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sidelight.store.clock import Clock
    from sidelight.store.engine import Database


AT_ONCE = 1000  # rows in a transaction


class Fleet:
    """Instances and coverage."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def discovered(self, account: str, region: str, found: Sequence[Instance]) -> list[str]:
        """Write what a discovery of this account and region found.

        The ids of those that were known, are not among them, and were not gone yet.
        """
        now = self._clock()
        # In parts, so that the workers' own short writes come in between.
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
        """One instance as last discovered."""
        query = select(instances.c.document).where(
            instances.c.account == account, instances.c.instance == instance_id
        )
        with self._database.read() as connection:
            document = connection.execute(query).scalar()
        return None if document is None else codec.load(Instance, document)

    def is_gone(self, account: str, instance_id: str) -> bool:
        """Whether a discovery missed an instance that was known."""
        query = select(instances.c.gone_at).where(
            instances.c.account == account, instances.c.instance == instance_id
        )
        with self._database.read() as connection:
            return connection.execute(query).scalar() is not None

    def with_history(self, account: str, region: str, found: Sequence[Instance]) -> list[Known]:
        """What a discovery of this place found, with when each was last scanned and tried.

        As `known`, for who has the instances in hand: no document is read.
        """
        history = select(instances.c.instance, *_history()).where(
            instances.c.account == account, instances.c.region == region
        )
        now = self._clock()
        with self._database.read() as connection:
            rows = {row.instance: row for row in connection.execute(history)}
        return [
            Known(instance, now)
            if (row := rows.get(instance.id)) is None
            else Known(instance, now, None, row.scanned_at, row.tried_at, row.live_scan or "")
            for instance in found
        ]

    def known(self, *, account: str = "", region: str = "") -> list[Known]:
        """All instances that are not gone, with when they were last scanned and tried."""
        query = (
            select(instances.c.document, instances.c.seen_at, instances.c.gone_at, *_history())
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
                    codec.load(Instance, row.document), row.seen_at, row.gone_at, row.scanned_at,
                    row.tried_at, row.live_scan or "",
                )
                for row in connection.execute(query)
            ]  # fmt: skip

    def cover(self, rows: Sequence[Coverage]) -> None:
        """Write coverage. `scanned_at` None leaves what was there."""
        now = self._clock()
        for begin in range(0, len(rows), AT_ONCE):
            with self._database.write() as connection:
                write_coverage(connection, rows[begin : begin + AT_ONCE], now)

    def uncover(self, account: str, instances: Sequence[str]) -> None:
        """Forget the coverage of these, where there is any."""
        with self._database.write() as connection:
            connection.execute(
                delete(coverage).where(
                    coverage.c.account == account, coverage.c.instance.in_(instances)
                )
            )

    def coverage(self) -> list[Coverage]:
        """All of it, by account, region and instance."""
        columns = [coverage.c[name] for name in Coverage.__dataclass_fields__]
        query = select(*columns).order_by(
            coverage.c.account, coverage.c.region, coverage.c.instance
        )
        with self._database.read() as connection:
            return [Coverage(**row._mapping) for row in connection.execute(query)]  # noqa: SLF001 - public

    def finish(self, scan: Scan, to: State, covered: Coverage) -> None:
        """DELETING to DONE or FAILED, with the instance's coverage, in one transaction.

        Of an instance that is gone meanwhile the coverage says so, whatever its scan came to.
        """
        if to not in TERMINAL:
            raise ValueError(f"{to} is no end")
        now = self._clock()
        # Locked: a discovery that misses the instance writes its coverage before this or after.
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
            release(connection, scan, now, now, to)
            write_coverage(connection, [covered], now)


def _history() -> list[Label[Any]]:
    """Each instance's last scan that was done, last that was made, and live one.

    By its newest scans alone, so that it takes no longer however many there ever were.
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
    connection: Connection, account: str, rows: Sequence[dict[str, Any]], now: datetime
) -> None:
    """Write the instances that are new or not as they were; of the others that they were seen."""
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
        _upsert(connection, instances, ("account", "instance"), changed)
    if same:
        seen = update(instances).where(here, instances.c.instance.in_(same))
        connection.execute(seen.values(seen_at=now))


def write_coverage(connection: Connection, rows: Sequence[Coverage], now: datetime) -> None:
    """Instances' coverage, in order; `scanned_at` None leaves what was there."""
    # Rows of one statement have the same columns: runs of those with a time, and of those without.
    for scanned, run in groupby(rows, key=lambda row: row.scanned_at is not None):
        values = [asdict(row) | {"updated_at": now} for row in run]
        if not scanned:
            for one in values:
                del one["scanned_at"]
        _upsert(connection, coverage, ("account", "instance"), values)


def _row(instance: Instance, now: datetime) -> dict[str, Any]:
    return {
        "account": instance.account,
        "instance": instance.id,
        "region": instance.region,
        "state": instance.state,
        "document": codec.dump(instance),
        "seen_at": now,
        "gone_at": None,
    }


def _upsert(
    connection: Connection, table: Any, keys: tuple[str, ...], rows: list[dict[str, Any]]
) -> None:
    """Insert rows of the same columns, or change those that are there."""
    connection.execute(_upserting(connection, table, keys, tuple(rows[0])), rows)


@once
def _upserting(
    connection: Connection, table: Any, keys: tuple[str, ...], columns: tuple[str, ...]
) -> Any:
    adding = insert(connection, table)
    changed = {name: adding.excluded[name] for name in columns if name not in keys}
    return adding.on_conflict_do_update(index_elements=keys, set_=changed)
