"""Indexes on tables that are too large to be locked while an index is built.

On PostgreSQL, `CREATE INDEX` lets no transaction write to its table until it ends: minutes for
millions of findings. `CREATE INDEX CONCURRENTLY` lets all go on, but cannot be in a migration's
transaction. So a migration calls `create_index` and `drop_index` of this module, which leave a
large table of PostgreSQL as it is; `build_missing` then compares the tables with the schema, and
builds and drops outside of transactions. It runs at each start of a process: what a killed one
left undone is done by the next, and an invalid index of it is made again.

Until an index is there, statements are slower and nothing else. One that holds a rule (a unique
index that statements rely on) must not be made here.
"""

from __future__ import annotations

import logging
import zlib
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex

from sidelight.store.base.schema import metadata

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection, Index

    from sidelight.store.base.engine import Database

log = logging.getLogger(__name__)

# Rows for each package or finding of each instance, or for each change of one.
LARGE_TABLES: Final = frozenset(
    {
        "count_changes", "detail_counts", "finding_details", "finding_events", "finding_terms",
        "findings", "set_software", "software",
    }
)  # fmt: skip
# Indexes that migrations from 0028 on have replaced: dropped where they still are.
RETIRED: Final = frozenset(
    {
        "ix_findings_account", "ix_findings_counts", "ix_findings_expires_at",
        "ix_findings_first_observed", "ix_findings_instance", "ix_findings_last_observed",
        "ix_findings_region", "ix_findings_resource", "ix_findings_status",
        "ix_findings_status_detail", "ix_findings_updated_at",
    }
)  # fmt: skip
LOCK: Final = zlib.crc32(b"sidelight index builds")
_PRESENT = text(
    "SELECT names.relname, indexes.indisvalid FROM pg_index AS indexes"
    " JOIN pg_class AS names ON names.oid = indexes.indexrelid"
    " JOIN pg_class AS tables ON tables.oid = indexes.indrelid"
    " WHERE tables.relname IN :tables AND pg_table_is_visible(tables.oid)"
).bindparams(bindparam("tables", expanding=True))


def create_index(name: str, table: str, columns: Iterable[str], **options: Any) -> None:
    """Create an index in a migration, unless `build_missing` has to."""
    from alembic import op

    if not _is_left_alone(table):
        op.create_index(name, table, list(columns), if_not_exists=True, **options)


def drop_index(name: str, table: str) -> None:
    """Drop an index of RETIRED in a migration, unless `build_missing` has to.

    Raises ValueError for another index, which `build_missing` would keep.
    """
    from alembic import op

    if name not in RETIRED:
        raise ValueError(f"{name} is not in RETIRED")
    if not _is_left_alone(table):
        op.drop_index(name, table_name=table, if_exists=True)


def _is_left_alone(table: str) -> bool:
    """Whether the table is one of PostgreSQL's that has rows."""
    from alembic import op

    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        return False
    quoted = connection.dialect.identifier_preparer.quote(table)
    return connection.execute(text(f"SELECT 1 FROM {quoted} LIMIT 1")).first() is not None


def build_missing(database: Database) -> None:
    """Build the indexes of large tables that are missing or invalid, and drop retired ones.

    Other transactions read and write meanwhile. Where another process builds, it returns at once.
    Only on PostgreSQL. Raises StoreError.
    """
    if database.engine.dialect.name != "postgresql":
        return
    with database.read() as connection:
        if not any(_differences(connection)):
            return
    with database.outside_of_transactions() as connection:
        # Not waited for: a transaction that waits would itself be waited for by the build.
        held = connection.execute(text("SELECT pg_try_advisory_lock(:lock)"), {"lock": LOCK})
        if not held.scalar_one():
            log.info("another process builds the store's indexes")
            return
        try:
            missing, unusable, retired = _differences(connection)
            for name in unusable:
                connection.execute(text(_dropping(name)))
            for index in missing:
                log.info("building the index %s; reading and writing go on", index.name)
                connection.execute(text(_concurrent(index)))
            # Last: statements use them until the new ones are there.
            for name in retired:
                connection.execute(text(_dropping(name)))
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": LOCK})


def _differences(connection: Connection) -> tuple[list[Index], list[str], list[str]]:
    """Return the indexes to build, the names of invalid ones, and of retired ones."""
    rows = connection.execute(_PRESENT, {"tables": sorted(LARGE_TABLES)})
    present = {str(name): bool(valid) for name, valid in rows}
    expected = {
        str(index.name): index
        for table in sorted(LARGE_TABLES)
        for index in metadata.tables[table].indexes
    }
    missing = [expected[name] for name in sorted(expected) if not present.get(name)]
    unusable = sorted(name for name in expected if present.get(name) is False)
    return missing, unusable, sorted(RETIRED & present.keys())


def _dropping(name: str) -> str:
    return f"DROP INDEX CONCURRENTLY IF EXISTS {name}"


def _concurrent(index: Index) -> str:
    statement = str(CreateIndex(index).compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]
    return statement.replace("INDEX ", "INDEX CONCURRENTLY ", 1)
