"""Scans for overviews: by state, the longest under way, and those that failed lately.

Each reads live scans, or a bounded number of ended ones, by an index.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import case, func, select

from sidelight.model import LIVE, Scan, State
from sidelight.store.base.schema import scans
from sidelight.store.scans.transitions import SCAN_COLUMNS, scan_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement

    from sidelight.store.base.clock import Clock
    from sidelight.store.base.engine import Database

MOST: Final = 500


@dataclass(frozen=True, slots=True)
class ScanState:
    """Live scans in one state: all, those that a worker holds, and those that wait for a time.

    `waiting` are due later (they wait for AWS, or for a budget); the others are in the queue.
    `oldest` is when the oldest entered the state.
    """

    state: State
    count: int
    held: int
    waiting: int
    oldest: datetime

    @property
    def queued(self) -> int:
        """The scans that are due, and which no worker holds."""
        return max(self.count - self.held - self.waiting, 0)


class ScanLists:
    """Scans of these accounts, or of the fleet where `accounts` is None."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def states(self, accounts: Collection[str] | None) -> list[ScanState]:
        """Count the live scans by state, in the order of the stages."""
        now = self._clock()
        held = scans.c.lease_until > now
        waiting = (scans.c.lease_until.is_(None) | (scans.c.lease_until <= now)) & (
            scans.c.next_at > now
        )
        query = (
            select(
                scans.c.state,
                func.count(),
                func.sum(case((held, 1), else_=0)),
                func.sum(case((waiting, 1), else_=0)),
                func.min(scans.c.entered_at),
            )
            .where(scans.c.state.in_(LIVE), *_of(accounts))
            .group_by(scans.c.state)
        )
        with self._database.read() as connection:
            found = {row[0]: row for row in connection.execute(query)}
        return [
            ScanState(State(row[0]), int(row[1]), int(row[2] or 0), int(row[3] or 0), row[4])
            for state in State
            if (row := found.get(state.value)) is not None
        ]

    def slowest(self, accounts: Collection[str] | None, limit: int = 20) -> list[Scan]:
        """Return the live scans that began first."""
        return self._scans(
            [scans.c.state.in_(LIVE), *_of(accounts)], [scans.c.created_at, scans.c.id], limit
        )

    def failed(
        self, accounts: Collection[str] | None, since: datetime, limit: int = 50
    ) -> list[Scan]:
        """Return scans that failed since then, the latest first."""
        conditions = [
            scans.c.state == State.FAILED.value, scans.c.finished_at >= since, *_of(accounts),
        ]  # fmt: skip
        return self._scans(conditions, [scans.c.finished_at.desc(), scans.c.id], limit)

    def ended(self, accounts: Collection[str] | None, since: datetime) -> dict[State, int]:
        """Count the scans that ended since then by their final state."""
        query = (
            select(scans.c.state, func.count())
            .where(
                scans.c.state.in_([State.DONE.value, State.FAILED.value]),
                scans.c.finished_at >= since,
                *_of(accounts),
            )
            .group_by(scans.c.state)
        )
        with self._database.read() as connection:
            return {State(state): int(count) for state, count in connection.execute(query)}

    def _scans(
        self,
        conditions: Sequence[ColumnElement[bool]],
        order: Sequence[ColumnElement[object]],
        limit: int,
    ) -> list[Scan]:
        query = select(*SCAN_COLUMNS).where(*conditions).order_by(*order).limit(min(limit, MOST))
        with self._database.read() as connection:
            return [scan_of(row) for row in connection.execute(query).mappings()]


def _of(accounts: Collection[str] | None) -> list[ColumnElement[bool]]:
    return [] if accounts is None else [scans.c.account.in_(sorted(accounts))]
