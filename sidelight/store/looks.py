"""Scans that wait for their snapshots, taken together: one look at EC2 serves a whole place.

A look claims what is due in an account and region under one lease, and gives it back in one
transaction. The row of `looks` says when the next one is due: whoever puts it there publishes the
message, so that a scan whose snapshots are made in between needs none of its own. A message that
is lost costs a wait: the dispatcher's tick publishes each scan that nobody looked at in time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, and_, bindparam, func, or_, select, update

from sidelight.errors import LeaseLostError
from sidelight.store.rows import Scan, Snapshot, State
from sidelight.store.schema import looks, scans, snapshots
from sidelight.store.statements import insert, once, parts
from sidelight.store.transitions import EARLY, claiming, free, kept, release, remember, scan_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sidelight.store.clock import Clock
    from sidelight.store.engine import Database


@dataclass(frozen=True, slots=True)
class Settled:
    """What a look saw of a scan: to READING, or looked at again after `delay` seconds."""

    scan: Scan
    completed: bool
    delay: float = 0.0


class Looks:
    """Claims and results of looks."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def pend(self, scan: Scan, made: Sequence[Snapshot], *, first: float, every: float) -> None:
        """To SNAPSHOTS_PENDING with the snapshots that were made.

        To be published only where no look at the place is due within `every` seconds: that one
        will see it as well. A keeper's is looked at by its keeper. Raises LeaseLostError.
        """
        now = self._clock()
        due = now + timedelta(seconds=first)
        with self._database.write() as connection:
            remember(connection, made)
            latest = now + timedelta(seconds=every)
            mine = scan.kept or _schedule(connection, scan, now, due, latest)
            release(connection, scan, now, due, State.SNAPSHOTS_PENDING, told=mine)

    def claim_waiting(self, account: str, region: str, seconds: float, limit: int) -> list[Scan]:
        """Take the scans of a place whose snapshots are due for a look, `limit` at most.

        A scan whose last look failed is not among them: it is looked at alone, so that it spoils
        no other's. All are under one lease.
        """
        now = self._clock()
        due = and_(
            scans.c.state == State.SNAPSHOTS_PENDING.value,
            scans.c.next_at <= now + EARLY,
            scans.c.attempts == 0,
        )
        place = and_(scans.c.account == account, scans.c.region == region)
        oldest = select(scans.c.id).where(due, place, free(now)).order_by(scans.c.next_at)
        first = oldest.limit(limit).scalar_subquery()
        statement = claiming(now, seconds, scans.c.id.in_(first), due)
        with self._database.write() as connection:
            return [scan_of(row) for row in connection.execute(statement)]

    def snapshots(self, scan_ids: Sequence[str]) -> dict[str, list[Snapshot]]:
        """The snapshots of these scans, by scan, in the order of their disks."""
        found: dict[str, list[Snapshot]] = {scan_id: [] for scan_id in scan_ids}
        query = select(snapshots).order_by(snapshots.c.position, snapshots.c.id)
        with self._database.read() as connection:
            for part in parts(list(scan_ids)):
                for row in connection.execute(query.where(snapshots.c.scan.in_(part))):
                    found[row.scan].append(Snapshot(**row._mapping))  # noqa: SLF001 - SQLAlchemy's public way
        return found

    def settle(self, seen: Sequence[Settled], *, alone: bool = False) -> None:
        """Give these scans back; what was lost meanwhile is left to who has it.

        One that was looked at `alone` has a message of its own again where it is still pending.
        """
        now = self._clock()
        with self._database.write() as connection:
            for one in seen:
                to = State.READING if one.completed else State.SNAPSHOTS_PENDING
                values = {} if one.completed else {"attempts": 0}
                due = now + timedelta(seconds=one.delay)
                told = one.completed or alone
                try:
                    release(connection, one.scan, now, due, to, told=told, **values)
                except LeaseLostError:
                    continue
                if one.completed:
                    connection.execute(
                        update(snapshots)
                        .where(snapshots.c.scan == one.scan.id)
                        .values(state="completed")
                    )

    def schedule(self, scan: Scan, every: float) -> datetime | None:
        """When the next look at the scan's place is due, if its message is to be sent now.

        None where nothing waits there, or where a message is on its way already.
        """
        now = self._clock()
        waiting = select(func.min(scans.c.next_at)).where(
            scans.c.state == State.SNAPSHOTS_PENDING.value,
            scans.c.attempts == 0,  # the others have a message each
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
    """A look at the scan's place at that time; False where there is one by `latest` anyway."""
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
