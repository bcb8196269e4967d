"""Regions whose scans nobody takes: the sign of a queue without a worker."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from sidelight.store.rows import LIVE
from sidelight.store.schema import scans

if TYPE_CHECKING:
    from datetime import datetime

    from sidelight.store.clock import Clock
    from sidelight.store.engine import Database

# A message was sent, and again after its grace, and the scan was not taken.
SENT = 2
QUIET = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Unattended:
    """So many scans of a region wait in a state, the longest since `since`."""

    region: str
    state: str
    scans: int
    since: datetime


def unattended(database: Database, clock: Clock) -> list[Unattended]:
    """Where scans wait whose message was sent twice, and none is or was being worked on lately.

    A long backlog is none: there, some scan of the same state is held by a worker, or has lately
    left the state that comes before.
    """
    now = clock()
    waiting = func.count().filter(
        scans.c.publications >= SENT, scans.c.lease_until.is_(None), scans.c.next_at <= now
    )
    query = (
        select(scans.c.region, scans.c.state, waiting, func.min(scans.c.entered_at))
        .where(scans.c.state.in_(LIVE))
        .group_by(scans.c.region, scans.c.state)
        .having(waiting > 0, func.coalesce(func.max(scans.c.lease_until), now - QUIET) <= now)
        .order_by(scans.c.region, scans.c.state)
    )
    with database.read() as connection:
        return [Unattended(*row) for row in connection.execute(query)]
