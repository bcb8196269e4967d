"""Bring a store's tables up to date with the migrations in the package.

Processes of two versions work on one store while a fleet is upgraded. A migration only adds to the
tables (docs/upgrades.md), so that code which does not know it goes on. One that takes something
away, which no code of the release before uses any more, names in `oldest_code` the oldest revision
whose code works with its tables. The newest such revision is in the store, for older code to read.
"""

from __future__ import annotations

import functools
import logging
import threading
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import delete, inspect, select, text

from sidelight.errors import OutdatedCodeError, StoreError
from sidelight.store.base.schema import properties
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
OLDEST_CODE = "oldest code"  # the property that holds a revision

log = logging.getLogger(__name__)


def migrate(database: Database, sleep: Callable[[float], object] = time.sleep) -> None:
    """Apply the missing migrations, all or none, then build missing indexes of large tables.

    Several processes may do this at once. On PostgreSQL a migration that has to lock a table in use
    gives up after LOCK_SECONDS, so that those who wait behind it go on, and tries again.

    A store that a newer version migrated is left as it is, indexes too, if that version says that
    this one works with it. Raises StoreError, also if it does not.
    """
    with database.read(is_guarded=False) as connection:
        current = _current(connection) or ""
        if current > newest():
            _require_support(connection, current, database.where)
            return
    is_newest = current == newest()
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
        _wait_for_others(connection)
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'"))
        config = _config()
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise StoreError(
                f"made by another version of Sidelight: {error}", where=database.where
            ) from error
        _record_oldest_code(connection, config)


def _wait_for_others(connection: Connection) -> None:
    """Wait for other upgrades and ways back to end; those that begin later wait for this one."""
    if connection.dialect.name == "postgresql":
        # Held until the transaction ends. In SQLite BEGIN IMMEDIATE is the lock.
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})


def _record_oldest_code(connection: Connection, config: Config) -> None:
    """Write which code works with the tables: the newest `oldest_code` up to their revision."""
    from alembic.script import ScriptDirectory

    current = _current(connection) or ""
    scripts = ScriptDirectory.from_config(config).walk_revisions()
    oldest = max(
        (
            str(getattr(script.module, "oldest_code", ""))
            for script in scripts
            if script.revision <= current
        ),
        default="",
    )
    if not inspect(connection).has_table(properties.name):
        return  # went back to before the first tables
    connection.execute(delete(properties).where(properties.c.name == OLDEST_CODE))
    connection.execute(properties.insert(), {"name": OLDEST_CODE, "value": oldest})


def _require_support(connection: Connection, current: str, where: str) -> None:
    """Raise OutdatedCodeError unless the newer version that migrated a store supports this code."""
    if _supports(connection):
        log.debug("%s: tables of revision %s, which this version works with", where, current)
        return
    raise OutdatedCodeError(
        f"a newer version of Sidelight made its tables (revision {current}; this version's:"
        f" {newest()}), and they do not work with this one: upgrade it, or take the tables back"
        " (docs/upgrades.md)",
        where=where,
    )


def _supports(connection: Connection) -> bool:
    """Whether the store's tables, of a newer revision, work with this version's code.

    Those of versions that did not record it do not.
    """
    query = select(properties.c.value).where(properties.c.name == OLDEST_CODE)
    oldest = connection.execute(query).scalar_one_or_none()
    return oldest is not None and str(oldest) <= newest()


def guard_of(where: str) -> Callable[[Connection], None]:
    """Return a guard of a database that this version has migrated or found newer.

    A newer version may migrate it while this process runs. What it costs is one row by its key.
    """

    def check(connection: Connection) -> None:
        query = select(properties.c.value).where(properties.c.name == OLDEST_CODE)
        oldest = connection.execute(query).scalar_one_or_none()
        if oldest is not None and str(oldest) > newest():
            _require_support(connection, _current(connection) or "", where)

    return check


def require_support(database: Database) -> None:
    """Raise OutdatedCodeError if a newer version's tables do not work with this one.

    A database that is not there is no such one. Raises StoreError where it does not answer.
    """
    if database.missing():
        return
    with database.read(is_guarded=False) as connection:
        current = _current(connection) or ""
        if current > newest():
            _require_support(connection, current, database.where)


def _is_lock_timeout(error: StoreError) -> bool:
    cause = getattr(error.__cause__, "orig", None)
    return getattr(cause, "sqlstate", "") == "55P03"  # lock_not_available


def go_back(database: Database, to: str) -> None:
    """Take the tables back to an older revision, in one transaction, which locks tables.

    Only while no process of a newer version uses the store. Raises StoreError for a revision that
    does not exist, and for a way that leads over a migration without a way back.
    """
    from alembic import command
    from alembic.util.exc import CommandError

    with _ONE_AT_A_TIME, database.write() as connection:
        _wait_for_others(connection)
        config = _config()
        config.attributes["connection"] = connection
        try:
            command.downgrade(config, to)
        except (CommandError, NotImplementedError) as error:
            what = f"cannot go back to {to}: {error or 'a migration has no way back'}"
            raise StoreError(what, where=database.where) from error
        _record_oldest_code(connection, config)


def is_made(database: Database) -> bool:
    """Return whether the database has a store's tables, of any version. Raises StoreError."""
    with database.read(is_guarded=False) as connection:
        return _current(connection) is not None


def revision(database: Database) -> str:
    """Return the revision of the store's tables; empty if it has none. Raises StoreError."""
    with database.read(is_guarded=False) as connection:
        return _current(connection) or ""


def is_supported(database: Database) -> bool:
    """Whether this version works with the store as it is, or migrates it. Raises StoreError."""
    with database.read(is_guarded=False) as connection:
        return (_current(connection) or "") <= newest() or _supports(connection)


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
