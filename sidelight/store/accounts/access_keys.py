"""The API's access keys, with their sealed secrets."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import or_, select, update

from sidelight.model import AccessKey
from sidelight.store.accounts.principal_columns import principal_of, principal_values
from sidelight.store.base.schema import access_keys

if TYPE_CHECKING:
    from sqlalchemy import Row

    from sidelight.store.base.clock import Clock
    from sidelight.store.base.engine import Database

USE_IS_NOTED: Final = timedelta(minutes=1)  # a key's use is written at most once in this time


class AccessKeys:
    """Access keys by id. A key is never changed but for its revocation and last use."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def add(self, key: AccessKey) -> None:
        """Store a new key. Raises StoreError where its id exists."""
        principal = key.principal
        values = {
            "id": key.id,
            "principal": principal.name,
            **principal_values(principal),
            "sealed": key.sealed,
            "created_at": key.created_at,
            "expires_at": key.expires_at,
        }
        with self._database.write() as connection:
            connection.execute(access_keys.insert().values(values))

    def get(self, key_id: str) -> AccessKey | None:
        """Return a key, also one that was revoked; None if it is unknown."""
        query = select(access_keys).where(access_keys.c.id == key_id)
        with self._database.read() as connection:
            row = connection.execute(query).first()
            return None if row is None else _key(row)

    def all(self) -> list[AccessKey]:
        """Return all keys, the oldest first."""
        query = select(access_keys).order_by(access_keys.c.created_at, access_keys.c.id)
        with self._database.read() as connection:
            return [_key(row) for row in connection.execute(query)]

    def revoke(self, key_id: str) -> bool:
        """Revoke a key from now on; return whether it was not revoked before."""
        open_key = access_keys.c.id == key_id, access_keys.c.revoked_at.is_(None)
        change = update(access_keys).where(*open_key).values(revoked_at=self._clock())
        with self._database.write() as connection:
            return bool(connection.execute(change).rowcount)

    def used(self, key: AccessKey) -> None:
        """Record that a key is used now."""
        now = self._clock()
        if key.last_used_at is not None and now - key.last_used_at < USE_IS_NOTED:
            return
        column = access_keys.c.last_used_at
        earlier = or_(column.is_(None), column <= now - USE_IS_NOTED)
        change = update(access_keys).where(access_keys.c.id == key.id, earlier)
        with self._database.write() as connection:
            connection.execute(change.values(last_used_at=now))


def _key(row: Row[tuple[object, ...]]) -> AccessKey:
    return AccessKey(
        row.id,
        principal_of(row.principal, row),
        bytes(row.sealed),
        row.created_at,
        row.expires_at,
        row.revoked_at,
        row.last_used_at,
    )
