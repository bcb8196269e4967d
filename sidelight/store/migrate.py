"""Bring a store's tables up to date, by the migrations in the package."""

from __future__ import annotations

import threading
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import text

from sidelight.errors import StoreError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from sidelight.store.engine import Database

SCRIPTS = Path(__file__).with_name("migrations")
# Alembic keeps its environment in a module, one at a time in a process.
_ONE_AT_A_TIME = threading.Lock()
LOCK = zlib.crc32(b"sidelight migrations")


def migrate(database: Database) -> None:
    """Apply what is missing, all or nothing. Several processes may do it at once.

    Raises StoreError, also where the store was made by a newer version.
    """
    with database.read() as connection:
        if _current(connection) == _head():
            return
    with _ONE_AT_A_TIME, database.write() as connection:
        if connection.dialect.name == "postgresql":
            # Held until the transaction ends. In SQLite BEGIN IMMEDIATE is the lock.
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        config = _config()
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise StoreError(
                f"made by another version of Sidelight: {error}", where=database.where
            ) from error


def _config() -> Config:
    config = Config()
    # A path with a percent sign would be taken for an interpolation.
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _head() -> str | None:
    return ScriptDirectory.from_config(_config()).get_current_head()


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()
