"""How many messages workers dropped, because no part of Sidelight sent or signed them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.store.base.counters import increment, read_counter

if TYPE_CHECKING:
    from sidelight.store.base.engine import Database

NAME: Final = "dropped"


class DroppedMessages:
    """One number of the whole fleet, since the store was made."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, count: int) -> None:
        """Count more of them."""
        with self._database.write() as connection:
            increment(connection, NAME, count)

    def total(self) -> int:
        """Return their number."""
        with self._database.read() as connection:
            return read_counter(connection, NAME)
