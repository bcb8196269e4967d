"""Shared snapshot polls: one DescribeSnapshots serves all waiting scans of an account-region.

A snapshot poll claims the due scans of an account-region under one lease, and gives them back in
one transaction. The row of `looks` holds the time of the next poll. The worker that writes it
publishes the message, so that a scan whose snapshots are created in between needs no message. A
lost message costs a delay: the dispatcher's tick publishes each scan that was not polled in time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, and_, bindparam, func, or_, select, update

from sidelight.errors import LeaseLostError
from sidelight.model import Scan, Snapshot, State, Transition
from sidelight.store.base.dialect import insert, once, parts
from sidelight.store.base.ordered_join import Unindexed
from sidelight.store.base.schema import looks, scans, snapshots
from sidelight.store.scans.live_scans import IS_LIVE
from sidelight.store.scans.transitions import (
    EARLY,
    claiming,
    free,
    kept,
    release,
    remember,
    scan_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

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
        due = and_(
            IS_LIVE,
            Unindexed(scans.c.state) == State.SNAPSHOTS_PENDING.value,
            scans.c.next_at <= now + EARLY,
            scans.c.attempts == 0,
        )
        account_region = and_(scans.c.account == account, scans.c.region == region)
        oldest = select(scans.c.id).where(due, account_region, free(now)).order_by(scans.c.next_at)
        first = oldest.limit(limit).scalar_subquery()
        statement = claiming(now, seconds, scans.c.id.in_(first), due)
        with self._database.write() as connection:
            return [scan_of(row) for row in connection.execute(statement).mappings()]

    def snapshots(self, scan_ids: Sequence[str]) -> dict[str, list[Snapshot]]:
        """Return the snapshots of these scans, by scan id, in the order of their disks."""
        by_scan: dict[str, list[Snapshot]] = {scan_id: [] for scan_id in scan_ids}
        query = select(snapshots).order_by(snapshots.c.position, snapshots.c.id)
        with self._database.read() as connection:
            for part in parts(list(scan_ids)):
                for row in connection.execute(query.where(snapshots.c.scan.in_(part))):
                    by_scan[row.scan].append(Snapshot(**row._mapping))  # noqa: SLF001 - SQLAlchemy's public way
        return by_scan

    def settle(self, seen: Sequence[PollResult], *, alone: bool = False) -> dict[str, Transition]:
        """Give these scans back; return their transitions by id.

        A scan whose lease another worker has taken is left out. A scan that was polled `alone` and
        is still pending gets its own message again.
        """
        now = self._clock()
        transitions: dict[str, Transition] = {}
        with self._database.write() as connection:
            for result in seen:
                to = State.READING if result.completed else State.SNAPSHOTS_PENDING
                values = {} if result.completed else {"attempts": 0}
                due = now + timedelta(seconds=result.delay)
                own = result.completed or alone
                try:
                    transitions[result.scan.id] = release(
                        connection, result.scan, now, due, to, own_message=own, **values
                    )
                except LeaseLostError:
                    continue
                if result.completed:
                    connection.execute(
                        update(snapshots)
                        .where(snapshots.c.scan == result.scan.id)
                        .values(state="completed")
                    )
        return transitions

    def schedule(self, scan: Scan, every: float) -> datetime | None:
        """Return the time of the account-region's next poll if its message must be sent now.

        None if no scan waits there, or if a message is already queued.
        """
        now = self._clock()
        waiting = select(func.min(scans.c.next_at)).where(
            IS_LIVE,
            Unindexed(scans.c.state) == State.SNAPSHOTS_PENDING.value,
            scans.c.attempts == 0,  # each of the others has its own message
            ~kept(),
            scans.c.account == scan.account,
            scans.c.region == scan.region,
        )
        with self._database.write() as connection:
            first = connection.execute(waiting).scalar()
            if first is None:
                return None
            at = max(first, now + timedelta(seconds=every))
            return at if _schedule(connection, scan, now, at, at) else None


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
