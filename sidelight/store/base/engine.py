"""Connections: SQLite for one machine, PostgreSQL for a fleet, one set of statements for both.

SQLite runs in WAL mode with a busy timeout, so that readers and the single writer do not wait for
each other. Every writing transaction takes its lock at its beginning: one that began by reading
could not wait for the lock, it would fail. Processes wait by asking again and again, which may miss
every gap between the others' transactions; the threads of a process take turns.
"""

from __future__ import annotations

import math
import time
from contextlib import contextmanager, nullcontext
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from sidelight.errors import StoreError, UsageError
from sidelight.store.base.clock import ServerClock, now
from sidelight.store.base.turns import TurnError, Turns
from sidelight.url_masks import masked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from sidelight.store.base.clock import Clock

BUSY_SECONDS = 30.0
GUARD_SECONDS = 5.0  # between two calls of a guard, while no statement fails
READ = "sidelight_read"


class Database:
    """An engine with two entry points: `write` and `read`, each one transaction.

    With a guard, transactions begin by asking whether this process may still use the tables.
    """

    def __init__(self, url: str, *, busy_seconds: float = BUSY_SECONDS) -> None:
        """Connects at first use. Raises UsageError for an invalid URL.

        `busy_seconds`: the longest wait for SQLite's lock, or for a connection to a server.
        """
        try:
            parsed = make_url(url)
            if parsed.drivername in ("postgresql", "postgres"):
                parsed = parsed.set(drivername="postgresql+psycopg")
            self.where = f"{parsed.drivername}://{masked(url).partition('://')[2]}"
            self.engine = _engine(parsed, busy_seconds)
        except (ArgumentError, NoSuchModuleError, ImportError, ValueError) as error:
            # A ValueError's text is what was read as the port, which may be the password.
            why = "its port is not a number" if isinstance(error, ValueError) else error
            raise UsageError(
                f"not a store's URL ({why}): write sqlite:///FILE or postgresql://USER@HOST/NAME",
                where=masked(url),
            ) from error
        self._read = self.engine.execution_options(**{READ: True})
        self._turns = Turns(busy_seconds) if self.engine.dialect.name == "sqlite" else None
        self._guard: Callable[[Connection], None] | None = None
        self._guarded_at = -math.inf  # as of time.monotonic()

    def guard(self, check: Callable[[Connection], None]) -> None:
        """Call `check` as a transaction begins, at most once in GUARD_SECONDS.

        It raises a StoreError to refuse the transaction. After a refusal or a failed statement the
        next transaction asks again, so that what took a column away is found before the failure
        is written down as a scan's.
        """
        self._guard = check

    def _ask_guard(self, connection: Connection) -> None:
        if self._guard is None or time.monotonic() - self._guarded_at < GUARD_SECONDS:
            return
        self._guarded_at = -math.inf
        self._guard(connection)
        self._guarded_at = time.monotonic()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a transaction: committed at the end, or rolled back. Raises StoreError."""
        try:
            with self._turns or nullcontext(), self.engine.begin() as connection:
                self._ask_guard(connection)
                yield connection
        except (SQLAlchemyError, TurnError) as error:
            self._guarded_at = -math.inf
            raise StoreError(_first_line(error), where=self.where) from error

    @contextmanager
    def read(self, *, is_guarded: bool = True) -> Iterator[Connection]:
        """Open a consistent view for reading only. Raises StoreError."""
        try:
            with self._read.connect() as connection:
                if is_guarded:
                    self._ask_guard(connection)
                yield connection
        except SQLAlchemyError as error:
            self._guarded_at = -math.inf
            raise StoreError(_first_line(error), where=self.where) from error

    @contextmanager
    def outside_of_transactions(self) -> Iterator[Connection]:
        """Open a connection whose statements are each committed at once. Raises StoreError.

        For statements that PostgreSQL refuses within a transaction.
        """
        try:
            with self.engine.connect() as connection:
                yield connection.execution_options(isolation_level="AUTOCOMMIT")
        except SQLAlchemyError as error:
            raise StoreError(_first_line(error), where=self.where) from error

    @property
    def clock(self) -> Clock:
        """The common clock of all users of this database."""
        return now if self.engine.dialect.name == "sqlite" else ServerClock(self._time)

    def _time(self) -> datetime:
        with self.read() as connection:
            server_time: datetime = connection.execute(
                text("SELECT clock_timestamp()")
            ).scalar_one()
        return server_time.astimezone(UTC)

    def missing(self) -> str:
        """Return why there is no database file to open; empty if there is one, or for a server."""
        url = self.engine.url
        if url.get_backend_name() != "sqlite":
            return ""
        if not url.database or url.database == ":memory:":
            return "it would be in memory"
        if url.database.startswith("file:"):
            return ""
        path = Path(url.database)
        if path.is_dir():
            return "it is a directory"
        if not path.exists():
            return "no such file"
        return "" if path.is_file() else "it is not a file"

    def is_encrypted(self) -> bool | None:
        """Whether the connection to the server has TLS; None for a file. Raises StoreError."""
        if self.engine.dialect.name == "sqlite":
            return None
        query = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        with self.read() as connection:
            return bool(connection.execute(text(query)).scalar_one_or_none())

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def _engine(url: Any, busy_seconds: float) -> Engine:
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, connect_args={"timeout": busy_seconds})
        event.listen(engine, "connect", _open_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    # A server that drops packets would be waited for as long as the kernel likes: two minutes.
    timeout = (
        {} if "connect_timeout" in url.query else {"connect_timeout": max(2, int(busy_seconds))}
    )
    # A connection that broke with a failed-over server is replaced, not handed out.
    engine = create_engine(
        url, pool_pre_ping=True, pool_size=8, max_overflow=24, connect_args=timeout
    )
    event.listen(engine, "connect", _open_postgresql)
    return engine


def _open_postgresql(connection: Any, _: object) -> None:
    # It compiles each statement that looks expensive: for 100 to 300 ms, to read one page.
    connection.execute("SET jit = off")
    connection.commit()


def _open_sqlite(connection: Any, _: object) -> None:
    # None: the driver does not begin transactions, _begin_sqlite does.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    # FULL: a commit survives a power cut, as the intent before CreateSnapshots must.
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    reading = connection.get_execution_options().get(READ, False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _first_line(error: Exception) -> str:
    """Return the first line of the driver's message, without the statement and its values."""
    cause = getattr(error, "orig", None) or error
    line = (str(cause).strip().splitlines() or [type(cause).__name__])[0]
    if getattr(cause, "sqlite_errorname", "").startswith("SQLITE_READONLY"):
        # Readers write too: SQLite's log and its index are beside the file.
        return f"{line}; the file and its directory have to be writable for this user"
    return line
