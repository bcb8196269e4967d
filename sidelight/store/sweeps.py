"""What the sweeps found, by account and region: the count of leaks, which should stay nought."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import case, literal, select
from sqlalchemy.dialects import postgresql, sqlite

from sidelight.store.rows import Sweeping
from sidelight.store.schema import sweeps

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
            dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
            insert = dialect.insert(sweeps)
            fresh = insert.excluded.orphans - sweeps.c.remaining
            statement = insert.on_conflict_do_update(
                index_elements=["account", "region"],
                set_={
                    "swept_at": insert.excluded.swept_at,
                    # One that could not be deleted is found again: it was counted already.
                    "orphans": sweeps.c.orphans + case((fresh > 0, fresh), else_=literal(0)),
                    "remaining": insert.excluded.remaining,
                },
            )
            connection.execute(statement, values)

    def all(self) -> list[Sweeping]:
        """By account and region."""
        query = select(sweeps).order_by(sweeps.c.account, sweeps.c.region)
        with self._database.read() as connection:
            return [Sweeping(**row._mapping) for row in connection.execute(query)]  # noqa: SLF001 - public
