"""Results of the sweeps by account-region: the number of leaked snapshots, which must stay 0."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import case, literal, select

from sidelight.model import Sweeping
from sidelight.store.base.dialect import insert
from sidelight.store.base.schema import sweeps

if TYPE_CHECKING:
    from sidelight.store.base.clock import Clock
    from sidelight.store.base.engine import Database


class Sweeps:
    """One row for each account-region that was ever swept."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def record(
        self, account: str, region: str, *, orphans: int, remaining: int, foreign: int = 0
    ) -> None:
        """Record a sweep that found `orphans` and could not delete `remaining` of them.

        `foreign` snapshots carry our tags and are not ours.
        """
        values = {
            "account": account,
            "region": region,
            "swept_at": self._clock(),
            "orphans": orphans,
            "remaining": remaining,
            "foreign_snapshots": foreign,
        }
        with self._database.write() as connection:
            adding = insert(connection, sweeps)
            fresh = adding.excluded.orphans - sweeps.c.remaining
            statement = adding.on_conflict_do_update(
                index_elements=["account", "region"],
                set_={
                    "swept_at": adding.excluded.swept_at,
                    # An orphan that could not be deleted is found again; it is counted already.
                    "orphans": sweeps.c.orphans + case((fresh > 0, fresh), else_=literal(0)),
                    "remaining": adding.excluded.remaining,
                    "foreign_snapshots": adding.excluded.foreign_snapshots,
                },
            )
            connection.execute(statement, values)

    def all(self) -> list[Sweeping]:
        """Return the sweeps by account and region."""
        query = select(sweeps).order_by(sweeps.c.account, sweeps.c.region)
        with self._database.read() as connection:
            return [Sweeping(**row._mapping) for row in connection.execute(query)]  # noqa: SLF001 - public
