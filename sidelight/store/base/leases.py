"""Leases for work that only one process does at a time, and the time of its last run."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import Connection, select, update

from sidelight.errors import StoreError
from sidelight.store.base.dialect import insert
from sidelight.store.base.schema import properties

if TYPE_CHECKING:
    from sidelight.store.base.clock import Clock
    from sidelight.store.base.engine import Database

HOLDER, DONE = "holder:", "done:"


class Leases:
    """A lease by name, stored in the store's properties and changed by compare-and-set."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def hold(self, name: str, holder: str, seconds: float) -> bool:
        """Take or renew the lease for `seconds`; False if another process holds it."""
        now = self._clock()
        until = (now + timedelta(seconds=seconds)).isoformat()
        with self._database.write() as connection:
            before = _read(connection, HOLDER + name)
            if before is not None:
                held = json.loads(before)
                if held["holder"] != holder and datetime.fromisoformat(held["until"]) > now:
                    return False
            value = json.dumps({"holder": holder, "until": until})
            return _swap(connection, HOLDER + name, before, value)

    def release(self, name: str, holder: str) -> None:
        """Give the lease back, if `holder` holds it."""
        with self._database.write() as connection:
            before = _read(connection, HOLDER + name)
            if before is not None and json.loads(before)["holder"] == holder:
                ended = json.dumps({"holder": "", "until": self._clock().isoformat()})
                _swap(connection, HOLDER + name, before, ended)

    def done_at(self, name: str) -> datetime | None:
        """Return the time of the last run, by any process; None if it never ran."""
        with self._database.read() as connection:
            value = _read(connection, DONE + name)
        return None if value is None else datetime.fromisoformat(value)

    def done(self, name: str, at: datetime | None = None) -> None:
        """Record that the work was done, at this time or now."""
        moment = (at or self._clock()).isoformat()
        with self._database.write() as connection:
            before = _read(connection, DONE + name)
            if not _swap(connection, DONE + name, before, moment):
                raise StoreError("was done by another meanwhile", where=name)


def _read(connection: Connection, name: str) -> str | None:
    query = select(properties.c.value).where(properties.c.name == name)
    return connection.execute(query).scalar()


def _swap(connection: Connection, name: str, before: str | None, after: str) -> bool:
    """Write `after`, unless another process has written since `before` was read."""
    if before is None:
        inserting = (
            insert(connection, properties).values(name=name, value=after).on_conflict_do_nothing()
        )
        return connection.execute(inserting.returning(properties.c.name)).first() is not None
    statement = (
        update(properties)
        .where(properties.c.name == name, properties.c.value == before)
        .values(value=after)
    )
    return connection.execute(statement).rowcount == 1
