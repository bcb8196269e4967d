"""Bring a store's tables up to date with the migrations in the package."""

from __future__ import annotations

import functools
import logging
import threading
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import inspect, text

from sidelight.errors import StoreError
from sidelight.store.large_indexes import build_missing

if TYPE_CHECKING:
    from collections.abc import Callable

    from alembic.config import Config
    from sqlalchemy import Connection

    from sidelight.store.base.engine import Database

SCRIPTS = Path(__file__).with_name("migrations")
# Alembic keeps its environment in a module: only one migration per process at a time.
_ONE_AT_A_TIME = threading.Lock()
LOCK = zlib.crc32(b"sidelight migrations")
LOCK_SECONDS, BETWEEN_TRIES, TRIES = 2, 1.0, 300

log = logging.getLogger(__name__)


def migrate(database: Database, sleep: Callable[[float], object] = time.sleep) -> None:
    """Apply the missing migrations, all or none, then build missing indexes of large tables.

    Several processes may do this at once. On PostgreSQL a migration that has to lock a table in use
    gives up after LOCK_SECONDS, so that those who wait behind it go on, and tries again. Raises
    StoreError, also if a newer version created the store.
    """
    with database.read() as connection:
        is_newest = _current(connection) == newest()
    tries = 0
    while not is_newest:
        tries += 1
        try:
            _upgrade(database)
            is_newest = True
        except StoreError as error:
            if tries == TRIES or not _is_lock_timeout(error):
                raise
            log.info("a table is in use; the migration is tried again: %s", error)
            sleep(BETWEEN_TRIES)
    build_missing(database)


def _upgrade(database: Database) -> None:
    # Imported late: nearly always nothing is missing, and a quarter of a second is saved.
    from alembic import command
    from alembic.util.exc import CommandError

    with _ONE_AT_A_TIME, database.write() as connection:
        if connection.dialect.name == "postgresql":
            # Held until the transaction ends. In SQLite BEGIN IMMEDIATE is the lock.
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
            connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'"))
        config = _config()
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise StoreError(
                f"made by another version of Sidelight: {error}", where=database.where
            ) from error


def _is_lock_timeout(error: StoreError) -> bool:
    cause = getattr(error.__cause__, "orig", None)
    return getattr(cause, "sqlstate", "") == "55P03"  # lock_not_available


def go_back(database: Database, to: str) -> None:
    """Take the tables back to an older revision, in one transaction, which locks tables.

    Only while no process uses the store. Raises StoreError for a revision that does not exist, and
    for a way that leads over a migration without a way back.
    """
    from alembic import command
    from alembic.util.exc import CommandError

    with _ONE_AT_A_TIME, database.write() as connection:
        config = _config()
        config.attributes["connection"] = connection
        try:
            command.downgrade(config, to)
        except (CommandError, NotImplementedError) as error:
            what = f"cannot go back to {to}: {error or 'a migration has no way back'}"
            raise StoreError(what, where=database.where) from error


def is_made(database: Database) -> bool:
    """Return whether the database has a store's tables, of any version. Raises StoreError."""
    with database.read() as connection:
        return _current(connection) is not None


def revision(database: Database) -> str:
    """Return the revision of the store's tables; empty if it has none. Raises StoreError."""
    with database.read() as connection:
        return _current(connection) or ""


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    # Alembic would interpret a percent sign in the path as an interpolation.
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


@functools.cache
def newest() -> str:
    """Return the revision of the last migration: its file's number."""
    return max(path.name[:4] for path in SCRIPTS.glob("versions/[0-9]*_*.py"))


def _current(connection: Connection) -> str | None:
    """Return the revision in Alembic's own table; None if there is no such table or row."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
