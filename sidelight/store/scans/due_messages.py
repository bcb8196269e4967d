"""The scans to publish to the queue, and the times to publish them again.

A row holds the time when its message is due. A worker that claims the scan, or gives it back,
postpones that time. So the dispatcher's tick finds the scans whose message was never sent or was
lost, or whose worker died.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, Update, and_, bindparam, case, func, or_, select, update

from sidelight.model import LIVE, Scan, State
from sidelight.store.base.dialect import parts
from sidelight.store.base.schema import scans
from sidelight.store.scans.transitions import GRACE, SCAN_COLUMNS, free, scan_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from sidelight.store.base.clock import Clock
    from sidelight.store.base.engine import Database

# After GRACE, then after twice that, and so on: the same scans must not make the queue of a long
# backlog longer every minute.
MOST_DOUBLINGS = 6
# Each BACKLOG scans that wait for a worker make the first wait one GRACE longer, up to fifteen.
BACKLOG, MOST_GRACES = 100, 15


class DueMessages:
    """When each scan's message is due."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def due(self, limit: int) -> list[Scan]:
        """Return live scans whose message was never sent or is lost, or whose worker died.

        If many scans are in one state, their messages may still be in its queue. They get more
        time, so that the queue does not grow by duplicates.
        """
        now = self._clock()
        with self._database.read() as connection:
            counts = {row.state: row.waiting for row in connection.execute(_live_counts())}
            states = [
                and_(
                    scans.c.state == state,
                    scans.c.publish_at <= now,
                    or_(
                        # A new scan has no message until the dispatcher sends it.
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
            return [scan_of(row) for row in connection.execute(query).mappings()]

    def published(self, scan_ids: Sequence[str]) -> None:
        """Record that these scans' messages were sent; the next are due after the grace period."""
        now = self._clock()
        with self._database.write() as connection:
            first = _first_wait(connection.execute(_counting_waiting()).scalar_one())
            waits = {f"wait_{n}": now + first * 2**n for n in range(MOST_DOUBLINGS + 1)}
            for part in parts(list(scan_ids)):
                connection.execute(_publishing(), {"now": now, "ids": part} | waits)

    def expedite(self) -> None:
        """Publish every live scan when it is due, without a grace period: the broker is empty."""
        now = self._clock()
        with self._database.write() as connection:
            connection.execute(_at_once(now))

    def prioritise(self, scan_ids: Sequence[str], priority: int) -> int:
        """Publish these again, before others; return how many free scans were less urgent.

        New scans that wait for snapshot quota retry at once. Scans that a worker holds get the
        priority from their next stage on.
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


@cache
def _counting_waiting() -> Select[Any]:
    return select(func.count()).where(scans.c.state.in_(LIVE), scans.c.lease_until.is_(None))


@cache
def _publishing() -> Update:
    """Postpone messages that were sent by `wait_0`, or `wait_1` at the second time, and so on."""
    waits = {
        n: bindparam(f"wait_{n}", type_=scans.c.publish_at.type) for n in range(MOST_DOUBLINGS + 1)
    }
    publish_at = case(waits, value=scans.c.publications, else_=waits[MOST_DOUBLINGS])
    statement = update(scans).values(publications=scans.c.publications + 1, publish_at=publish_at)
    # A worker has already claimed a scan that is no longer due.
    is_one = scans.c.id.in_(bindparam("ids", expanding=True))
    return statement.where(is_one, scans.c.publish_at <= bindparam("now"))


def _at_once(now: datetime) -> Update:
    """Publish the live scans without a holder when they are due, without a grace period."""
    return (
        update(scans)
        .where(scans.c.state.in_(LIVE), free(now))
        .values(
            publish_at=case((scans.c.next_at > now, scans.c.next_at), else_=now), publications=1
        )
    )


def _live_counts() -> Select[object]:
    query = select(scans.c.state, func.count().label("waiting"))
    return query.where(scans.c.state.in_(LIVE)).group_by(scans.c.state)


def _first_wait(waiting: int) -> timedelta:
    """Return how long a message may wait in a queue with `waiting` scans."""
    return GRACE * min(max(1, waiting // BACKLOG), MOST_GRACES)
