"""Find queues without a worker: regions whose due scans are never claimed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from sidelight.model import LIVE
from sidelight.store.base.schema import scans

if TYPE_CHECKING:
    from datetime import datetime

    from sidelight.store.base.clock import Clock
    from sidelight.store.base.engine import Database

# The message was sent, and again after its grace period, and no worker claimed the scan.
SENT = 2
QUIET = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class UnclaimedScans:
    """The number of scans of a region that wait in a state, the longest since `since`."""

    region: str
    state: str
    scans: int
    since: datetime


def unclaimed_scans(database: Database, clock: Clock) -> list[UnclaimedScans]:
    """List regions with scans whose message was sent twice while no worker held one lately.

    A long backlog is not listed: there, a worker holds some scan of the same state, or a scan
    has lately left the state before it.
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
        return [UnclaimedScans(*row) for row in connection.execute(query)]
