"""People who sign in to the console, and their sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, select, update

from sidelight.model import ConsoleSession, ConsoleUser
from sidelight.store.accounts.principal_columns import principal_of, principal_values
from sidelight.store.base.schema import console_sessions, console_users

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Row

    from sidelight.store.base.clock import Clock
    from sidelight.store.base.engine import Database

MOST_SESSIONS: Final = 20  # of one user; the oldest end
_SOURCE_LIMIT: Final = 64


class ConsoleUsers:
    """Users by name. A revoked user keeps its name and cannot sign in."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def put(self, user: ConsoleUser) -> None:
        """Store a user, or replace the one of its name; sessions of the old one end."""
        name = user.principal.name
        values = {
            "name": name,
            **principal_values(user.principal),
            "password": user.password,
            "subject": user.subject,
            "created_at": user.created_at,
            "revoked_at": user.revoked_at,
            "signed_in_at": user.signed_in_at,
        }
        with self._database.write() as connection:
            connection.execute(delete(console_sessions).where(console_sessions.c.user == name))
            connection.execute(delete(console_users).where(console_users.c.name == name))
            connection.execute(console_users.insert().values(values))

    def get(self, name: str) -> ConsoleUser | None:
        """Return a user, also one that was revoked; None if it is unknown."""
        query = select(console_users).where(console_users.c.name == name)
        with self._database.read() as connection:
            row = connection.execute(query).first()
            return None if row is None else _user(row)

    def by_subject(self, subject: str) -> ConsoleUser | None:
        """Return the user of an identity provider's subject; None if it is unknown."""
        query = select(console_users).where(console_users.c.subject == subject)
        with self._database.read() as connection:
            row = connection.execute(query).first()
            return None if row is None else _user(row)

    def all(self) -> list[ConsoleUser]:
        """Return all users by name."""
        with self._database.read() as connection:
            rows = connection.execute(select(console_users).order_by(console_users.c.name))
            return [_user(row) for row in rows]

    def set_password(self, name: str, password: str) -> bool:
        """Replace a user's hash and end its sessions; False if it is unknown or revoked."""
        change = update(console_users).where(
            console_users.c.name == name, console_users.c.revoked_at.is_(None)
        )
        with self._database.write() as connection:
            connection.execute(delete(console_sessions).where(console_sessions.c.user == name))
            return bool(connection.execute(change.values(password=password)).rowcount)

    def revoke(self, name: str) -> bool:
        """Revoke a user and end its sessions; return whether it was not revoked before."""
        change = update(console_users).where(
            console_users.c.name == name, console_users.c.revoked_at.is_(None)
        )
        with self._database.write() as connection:
            connection.execute(delete(console_sessions).where(console_sessions.c.user == name))
            return bool(connection.execute(change.values(revoked_at=self._clock())).rowcount)

    def reactivate(self, name: str) -> bool:
        """Take back a user's revocation; return whether it was revoked before."""
        change = update(console_users).where(
            console_users.c.name == name, console_users.c.revoked_at.is_not(None)
        )
        with self._database.write() as connection:
            return bool(connection.execute(change.values(revoked_at=None)).rowcount)


class ConsoleSessions:
    """Sessions by the hash of their id. Times are the store's."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def begin(self, key: str, user: str, source: str, oldest: datetime) -> None:
        """Store a session of a user; delete those of anyone that began before `oldest`."""
        now, table = self._clock(), console_sessions
        values = {
            "key": key, "user": user, "created_at": now, "seen_at": now,
            "source": source[:_SOURCE_LIMIT],
        }  # fmt: skip
        others = select(table.c.key).where(table.c.user == user)
        surplus = others.order_by(table.c.created_at.desc()).offset(MOST_SESSIONS - 1)
        signed_in = update(console_users).where(console_users.c.name == user)
        with self._database.write() as connection:
            connection.execute(delete(table).where(table.c.created_at < oldest))
            keys = list(connection.execute(surplus).scalars())
            connection.execute(delete(table).where(table.c.key.in_(keys)))
            connection.execute(table.insert().values(values))
            connection.execute(signed_in.values(signed_in_at=now))

    def get(self, key: str) -> tuple[ConsoleSession, ConsoleUser] | None:
        """Return a session and its user; None if there is none."""
        table = console_sessions
        of_it = console_users.c.name == table.c.user
        query = select(table.c.key, table.c.user, table.c.created_at.label("began_at"),
                       table.c.seen_at, table.c.source, console_users)  # fmt: skip
        query = query.select_from(table.join(console_users, of_it)).where(table.c.key == key)
        with self._database.read() as connection:
            row = connection.execute(query).first()
            if row is None:
                return None
            session = ConsoleSession(row.key, row.user, row.began_at, row.seen_at, row.source)
            return session, _user(row)

    def seen(self, key: str) -> None:
        """Record that a session is used now."""
        change = update(console_sessions).where(console_sessions.c.key == key)
        with self._database.write() as connection:
            connection.execute(change.values(seen_at=self._clock()))

    def end(self, key: str) -> None:
        """Delete a session."""
        with self._database.write() as connection:
            connection.execute(delete(console_sessions).where(console_sessions.c.key == key))


def _user(row: Row[tuple[object, ...]]) -> ConsoleUser:
    return ConsoleUser(
        principal_of(row.name, row), row.password, row.created_at, row.subject, row.revoked_at,
        row.signed_in_at,
    )  # fmt: skip
