"""What the sweeps found, by account and region: the count of leaks, which should stay nought."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import case, literal, select

from sidelight.store.rows import Sweeping
from sidelight.store.schema import sweeps
from sidelight.store.statements import insert

if TYPE_CHECKING:
    from sidelight.store.clock import Clock
    from sidelight.store.engine import Database


class Sweeps:
    """One row for each place that was ever swept."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def record(self, account: str, region: str, *, orphans: int, remaining: int) -> None:
        """A sweep found so many orphans, and could not delete `remaining` of them."""
        values = {
            "account": account,
            "region": region,
            "swept_at": self._clock(),
            "orphans": orphans,
            "remaining": remaining,
        }
        with self._database.write() as connection:
            adding = insert(connection, sweeps)
            fresh = adding.excluded.orphans - sweeps.c.remaining
            statement = adding.on_conflict_do_update(
                index_elements=["account", "region"],
                set_={
                    "swept_at": adding.excluded.swept_at,
                    # One that could not be deleted is found again: it was counted already.
                    "orphans": sweeps.c.orphans + case((fresh > 0, fresh), else_=literal(0)),
                    "remaining": adding.excluded.remaining,
                },
            )
            connection.execute(statement, values)

    def all(self) -> list[Sweeping]:
        """By account and region."""
        query = select(sweeps).order_by(sweeps.c.account, sweeps.c.region)
        with self._database.read() as connection:
            return [Sweeping(**row._mapping) for row in connection.execute(query)]  # noqa: SLF001 - public
