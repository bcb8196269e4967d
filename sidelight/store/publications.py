"""Which scans are to be published to the queue, and when again.

A row says when its message is due; who claims the scan, or gives it back, moves that on. So the
dispatcher's tick finds the scans whose message was never sent, or was lost, or whose worker died.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, Update, and_, case, func, or_, select, update

from sidelight.store.rows import LIVE, Scan, State
from sidelight.store.schema import scans
from sidelight.store.statements import parts
from sidelight.store.transitions import GRACE, SCAN_COLUMNS, free, scan_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from sidelight.store.clock import Clock
    from sidelight.store.engine import Database

# After GRACE, then after twice that, and so on: a queue with a long backlog is not made longer by
# the same scans every minute.
MOST_DOUBLINGS = 6
# Each so many scans that wait for a worker make the first wait one GRACE longer, up to fifteen.
BACKLOG, MOST_GRACES = 100, 15


class Publications:
    """When each scan's message is due."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def due(self, limit: int) -> list[Scan]:
        """Live scans whose message was never sent, or is lost, or whose worker died.

        Where many are in one state their messages may well be in its queue yet: they are given
        more time, so that the queue is not made longer by what it holds already.
        """
        now = self._clock()
        with self._database.read() as connection:
            counts = {row.state: row.waiting for row in connection.execute(_live_counts())}
            states = [
                and_(
                    scans.c.state == state,
                    scans.c.publish_at <= now,
                    or_(
                        # A new scan has no message before the dispatcher has sent it.
                        scans.c.state == State.NEW.value,
                        scans.c.publications > 0,
                        scans.c.publish_at <= now - (_first_wait(count) - GRACE),
                    ),
                )
                for state, count in counts.items()
            ]
            if not states:
                return []
            query = select(*SCAN_COLUMNS).where(or_(*states))
            query = query.order_by(scans.c.priority, scans.c.publish_at).limit(limit)
            return [scan_of(row) for row in connection.execute(query)]

    def published(self, scan_ids: Sequence[str]) -> None:
        """These scans' messages were sent: the next ones not before their grace is over."""
        now = self._clock()
        waiting = select(func.count()).where(scans.c.state.in_(LIVE), scans.c.lease_until.is_(None))
        with self._database.write() as connection:
            first = _first_wait(connection.execute(waiting).scalar_one())
            waits = {n: now + first * 2**n for n in range(MOST_DOUBLINGS + 1)}
            publish_at = case(waits, value=scans.c.publications, else_=waits[MOST_DOUBLINGS])
            statement = update(scans).values(
                publications=scans.c.publications + 1, publish_at=publish_at
            )
            for part in parts(list(scan_ids)):
                # One that is not due any more was picked up already.
                due = statement.where(scans.c.id.in_(part), scans.c.publish_at <= now)
                connection.execute(due)

    def expedite(self) -> None:
        """The broker is new and empty: publish every live scan when it is due, without a grace."""
        now = self._clock()
        with self._database.write() as connection:
            connection.execute(_at_once(now))

    def hasten(self, scan_ids: Sequence[str], priority: int) -> int:
        """Publish these again, before others; how many were less urgent and nobody holds them.

        New ones that wait for room ask at once. Those that are held have the priority from their
        next stage on.
        """
        now = self._clock()
        count = 0
        with self._database.write() as connection:
            for part in parts(list(scan_ids)):
                slower = scans.c.id.in_(part), scans.c.state.in_(LIVE), scans.c.priority > priority
                new = update(scans).where(*slower, scans.c.state == State.NEW.value, free(now))
                connection.execute(new.values(next_at=now))
                count += connection.execute(_at_once(now).where(*slower)).rowcount
                connection.execute(update(scans).where(*slower).values(priority=priority))
        return count


def _at_once(now: datetime) -> Update:
    """Of live scans that nobody holds: publish them when they are due, without a grace."""
    return (
        update(scans)
        .where(scans.c.state.in_(LIVE), free(now))
        .values(
            publish_at=case((scans.c.next_at > now, scans.c.next_at), else_=now), publications=1
        )
    )


def _live_counts() -> Select[Any]:
    query = select(scans.c.state, func.count().label("waiting"))
    return query.where(scans.c.state.in_(LIVE)).group_by(scans.c.state)


def _first_wait(waiting: int) -> timedelta:
    """How long a message may lie in a queue that so many wait in."""
    return GRACE * min(max(1, waiting // BACKLOG), MOST_GRACES)
