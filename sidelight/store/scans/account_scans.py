"""The scans of a whole account: which there are, and ending them when it is disabled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select, update

from sidelight.model import LIVE, Event, State
from sidelight.store.base.ordered_join import ordered_join
from sidelight.store.base.schema import scans, snapshots
from sidelight.store.scans.live_scans import IS_LIVE
from sidelight.store.scans.transitions import note

if TYPE_CHECKING:
    from collections.abc import Collection

    from sidelight.store.base.clock import Clock
    from sidelight.store.base.engine import Database

# Few snapshots are not deleted, and an account may have scans of thirty days.
_BY_SNAPSHOT = ordered_join(snapshots, scans, scans.c.id == snapshots.c.scan)
_RUNNING = [state.value for state in sorted(LIVE - {State.DELETING})]


class AccountScans:
    """Ends an account's live scans, and counts those that remain."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def end(self, account: str, reason: str, code: str) -> int:
        """Send all live scans of an account to DELETING, and from there to FAILED.

        A worker that holds one loses its lease. Its snapshots are deleted by the next stage, and
        what a call in flight still creates is found by the sweep. `code` is the coverage reason.
        """
        now = self._clock()
        with self._database.write() as connection:
            ended = connection.execute(
                update(scans)
                .where(IS_LIVE, scans.c.account == account, scans.c.state.in_(_RUNNING))
                .values(
                    state=State.DELETING.value, failure=reason, failure_code=code,
                    last_error=reason, lease="", lease_until=None, attempts=0, late_since=None,
                    entered_at=now, next_at=now, publish_at=now, publications=0,
                )
                .returning(scans.c.id)
            ).scalars()  # fmt: skip
            ids = list(ended)
            for scan_id in ids:
                note(connection, Event(scan_id, now, "ended", reason))
            return len(ids)

    def live(self, account: str) -> list[str]:
        """Return the ids of the account's live scans."""
        query = select(scans.c.id).where(IS_LIVE, scans.c.account == account)
        with self._database.read() as connection:
            return list(connection.execute(query.order_by(scans.c.id)).scalars())

    def undeleted(self, account: str) -> list[str]:
        """Return the account's snapshots that were not seen deleted."""
        query = (
            select(snapshots.c.id)
            .select_from(_BY_SNAPSHOT)
            .where(scans.c.account == account, snapshots.c.deleted_at.is_(None))
            .order_by(snapshots.c.id)
        )
        with self._database.read() as connection:
            return list(connection.execute(query).scalars())

    def counts(self, accounts: Collection[str]) -> tuple[int, int]:
        """Return how many live scans these accounts have, and snapshots not seen deleted."""
        own = scans.c.account.in_(sorted(accounts))
        live = select(func.count()).select_from(scans).where(own, IS_LIVE)
        left = (
            select(func.count())
            .select_from(_BY_SNAPSHOT)
            .where(own, snapshots.c.deleted_at.is_(None))
        )
        with self._database.read() as connection:
            return int(connection.execute(live).scalar_one()), int(
                connection.execute(left).scalar_one()
            )

    def regions(self, account: str) -> list[str]:
        """Return the regions in which the account was ever scanned."""
        query = select(scans.c.region).where(scans.c.account == account)
        with self._database.read() as connection:
            return sorted(connection.execute(query.distinct()).scalars())
