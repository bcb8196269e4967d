"""Shared snapshot polls: one DescribeSnapshots serves all waiting scans of an account-region.

A snapshot poll claims the due scans of an account-region under one lease, and gives them back in
one transaction. The row of `looks` holds the time of the next poll. The worker that writes it
publishes the message, so that a scan whose snapshots are created in between needs no message. A
lost message costs a delay: the dispatcher's tick publishes each scan that was not polled in time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, and_, bindparam, func, or_, select, update

from sidelight.model import Scan, Snapshot, State, Transition
from sidelight.store.base.dialect import insert, once, parts
from sidelight.store.base.ordered_join import Unindexed, is_in_region
from sidelight.store.base.schema import looks, scans, snapshots
from sidelight.store.scans.live_scans import IS_LIVE
from sidelight.store.scans.transitions import (
    EARLY,
    Release,
    claim_of,
    claiming,
    free,
    kept,
    release,
    release_each,
    remember,
    scan_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Select, Update
    from sqlalchemy.sql.dml import ReturningUpdate

    from sidelight.store.base.clock import Clock
    from sidelight.store.base.engine import Database


@dataclass(frozen=True, slots=True)
class PollResult:
    """A snapshot poll's result for a scan: to READING, or polled again after `delay` seconds."""

    scan: Scan
    completed: bool
    delay: float = 0.0


class SnapshotPolls:
    """Claims and results of snapshot polls."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def pend(
        self, scan: Scan, created: Sequence[Snapshot], *, first: float, every: float
    ) -> Transition:
        """Move the scan to SNAPSHOTS_PENDING and store its new snapshots.

        The scan is published only if no poll of the account-region is due within `every` seconds,
        since that poll includes it. A keeper polls its own scan. Raises LeaseLostError.
        """
        now = self._clock()
        due = now + timedelta(seconds=first)
        with self._database.write() as connection:
            remember(connection, created)
            latest = now + timedelta(seconds=every)
            own = scan.kept or _schedule(connection, scan, now, due, latest)
            return release(connection, scan, now, due, State.SNAPSHOTS_PENDING, own_message=own)

    def claim_waiting(self, account: str, region: str, seconds: float, limit: int) -> list[Scan]:
        """Claim the scans of an account-region that are due for a snapshot poll, `limit` at most.

        A scan whose last poll failed is not among them: it is polled alone, so that it cannot make
        the polls of other scans fail. All claimed scans are under one lease.
        """
        now = self._clock()
        values = {"in_account": account, "in_region": region, "most": limit}
        values |= claim_of(now, seconds)
        with self._database.write() as connection:
            rows = connection.execute(_claiming_waiting(), values)
            return [scan_of(row) for row in rows.mappings()]

    def snapshots(self, scan_ids: Sequence[str]) -> dict[str, list[Snapshot]]:
        """Return the snapshots of these scans, by scan id, in the order of their disks."""
        by_scan: dict[str, list[Snapshot]] = {scan_id: [] for scan_id in scan_ids}
        with self._database.read() as connection:
            for part in parts(list(scan_ids)):
                for row in connection.execute(_snapshots_of(), {"scans": part}):
                    by_scan[row.scan].append(Snapshot(**row._mapping))  # noqa: SLF001 - SQLAlchemy's public way
        return by_scan

    def settle(self, seen: Sequence[PollResult], *, alone: bool = False) -> dict[str, Transition]:
        """Give these scans back; return their transitions by id.

        A scan whose lease another worker has taken is left out. A scan that was polled `alone` and
        is still pending gets its own message again.
        """
        now = self._clock()
        releases = [
            Release(
                result.scan,
                now + timedelta(seconds=result.delay),
                State.READING if result.completed else State.SNAPSHOTS_PENDING,
                {} if result.completed else {"attempts": 0},
            )
            for result in seen
        ]
        with self._database.write() as connection:
            done = release_each(connection, releases, now)
            read = [scan.id for scan, _due, to, _values in done if to is State.READING]
            for part in parts(read):
                connection.execute(_completing(), {"scans": part})
        return {
            scan.id: Transition(to, due, alone or to is State.READING)
            for scan, due, to, _values in done
        }

    def schedule(self, scan: Scan, every: float) -> datetime | None:
        """Return the time of the account-region's next poll if its message must be sent now.

        None if no scan waits there, or if a message is already queued.
        """
        now = self._clock()
        of_scan = {"in_account": scan.account, "in_region": scan.region}
        with self._database.write() as connection:
            first = connection.execute(_next_of_waiting(), of_scan).scalar()
            if first is None:
                return None
            at = max(first, now + timedelta(seconds=every))
            return at if _schedule(connection, scan, now, at, at) else None


@cache
def _claiming_waiting() -> ReturningUpdate[Any]:
    due = and_(*_waiting(), scans.c.next_at <= bindparam("early"))
    is_free = free(bindparam("now"))
    oldest = select(scans.c.id).where(due, is_in_region(scans), is_free).order_by(scans.c.next_at)
    first = oldest.limit(bindparam("most")).scalar_subquery()
    return claiming(scans.c.id.in_(first), due)


@cache
def _next_of_waiting() -> Select[Any]:
    return select(func.min(scans.c.next_at)).where(*_waiting(), ~kept(), is_in_region(scans))


def _waiting() -> tuple[ColumnElement[bool], ...]:
    """Match scans that wait for snapshots without a message of their own."""
    state = Unindexed(scans.c.state) == State.SNAPSHOTS_PENDING.value
    return IS_LIVE, state, scans.c.attempts == 0


@cache
def _snapshots_of() -> Select[Any]:
    is_one = snapshots.c.scan.in_(bindparam("scans", expanding=True))
    return select(snapshots).where(is_one).order_by(snapshots.c.position, snapshots.c.id)


@cache
def _completing() -> Update:
    is_one = snapshots.c.scan.in_(bindparam("scans", expanding=True))
    return update(snapshots).where(is_one).values(state="completed")


def _schedule(
    connection: Connection, scan: Scan, now: datetime, at: datetime, latest: datetime
) -> bool:
    """Schedule a poll of the scan's account-region at `at`; False if one is due by `latest`."""
    values = {"account": scan.account, "region": scan.region, "due_at": at}
    between = {"past": now + EARLY, "latest": latest}
    return connection.execute(_scheduling(connection), values | between).first() is not None


@once
def _scheduling(connection: Connection) -> Any:
    adding = insert(connection, looks)
    return adding.on_conflict_do_update(
        index_elements=["account", "region"],
        set_={"due_at": adding.excluded.due_at},
        where=or_(looks.c.due_at <= bindparam("past"), looks.c.due_at > bindparam("latest")),
    ).returning(looks.c.due_at)
