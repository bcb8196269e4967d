"""Older code on newer tables: migrations only add, and what takes away names the code that works.

docs/upgrades.md has the rule. What each migration does is read from the database, not its code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from alembic import command

from dispatcher.doctor.local_checks import check_store
from dispatcher.doctor.results import CheckStatus
from sidelight.errors import OutdatedCodeError, StoreError
from sidelight.fleet.settings import Settings
from sidelight.store import Store, migrate
from sidelight.store.base import engine
from sidelight.store.base.engine import Database
from sidelight.store.base.schema import properties
from sidelight.store.migrate import go_back
from tests.fixtures.newer_stores import migrated_by_newer
from tests.fixtures.store_templates import lay
from tests.fixtures.stored_findings import inspected, inventory, package

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection

# Revisions from here on are held to the rule.
FIRST_HELD = "0029"


@dataclass(frozen=True)
class Tables:
    """Columns (nullable, with a default), and what refuses rows, of each table."""

    columns: dict[tuple[str, str], tuple[bool, bool]]
    rules: frozenset[tuple[str, str]]


def tables(connection: Connection) -> Tables:
    columns, rules = {}, set()
    inspector = sa.inspect(connection)
    for table in inspector.get_table_names():
        for column in inspector.get_columns(table):
            has_default = column["default"] is not None or bool(column.get("autoincrement") is True)
            columns[table, column["name"]] = (bool(column["nullable"]), has_default)
        rules |= {
            (table, str(key["column_names"])) for key in inspector.get_unique_constraints(table)
        }
        rules |= {
            (table, str(index["column_names"]))
            for index in inspector.get_indexes(table)
            if index["unique"]
        }
        rules |= {
            (table, str(key["constrained_columns"])) for key in inspector.get_foreign_keys(table)
        }
        rules |= {
            (table, str(check["sqltext"])) for check in inspector.get_check_constraints(table)
        }
    return Tables(columns, frozenset(rules))


def takes_away(before: Tables, after: Tables) -> list[str]:
    """What code that knows only the tables before cannot bear."""
    old = {table for table, _ in before.columns}
    found = [
        f"{table}.{name} is gone" for table, name in before.columns.keys() - after.columns.keys()
    ]
    for (table, name), (nullable, has_default) in after.columns.items():
        if (table, name) in before.columns:
            if before.columns[table, name][0] and not nullable:
                found.append(f"{table}.{name} refuses NULL")
        elif table in old and not (nullable or has_default):
            found.append(f"{table}.{name} has no default")
    found += [
        f"{table}: new rule {rule}" for table, rule in after.rules - before.rules if table in old
    ]
    return sorted(found)


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    lay(url)
    database = Database(url)
    migrate.migrate(database)
    yield database
    database.close()


def revisions() -> list[str]:
    return sorted(path.name[:4] for path in migrate.SCRIPTS.glob("versions/[0-9]*_*.py"))


@pytest.mark.slow
def test_each_migration_only_adds_or_names_the_oldest_code_that_works(database: Database) -> None:
    held = [revision for revision in revisions() if revision >= FIRST_HELD]
    go_back(database, f"{int(FIRST_HELD) - 1:04}")
    for revision in held:
        with database.write() as connection:
            before = tables(connection)
            config = migrate._config()
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
            found = takes_away(before, tables(connection))
            migrate._record_oldest_code(connection, config)
            oldest = oldest_code(connection)
        # Over a release: the code of the revision before does not use it any more.
        assert not found or oldest < revision, f"{revision}: {found}: name its oldest_code"
        assert not found or oldest >= FIRST_HELD, f"{revision}: {found}: name its oldest_code"


def oldest_code(connection: Connection) -> str:
    query = sa.select(properties.c.value).where(properties.c.name == migrate.OLDEST_CODE)
    return str(connection.execute(query).scalar_one())


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("ALTER TABLE scans DROP COLUMN last_error", "scans.last_error is gone"),
        ("DROP TABLE saved_views", "saved_views.query is gone"),
        ("ALTER TABLE scans RENAME COLUMN last_error TO remark", "scans.last_error is gone"),
        ("CREATE UNIQUE INDEX one_note ON scans (instance)", "scans: new rule ['instance']"),
    ],
)
def test_a_migration_that_takes_away_is_found(
    database: Database, statement: str, found: str
) -> None:
    with database.write() as connection:
        before = tables(connection)
        connection.execute(sa.text(statement))
        assert found in takes_away(before, tables(connection))
        connection.rollback()


def test_a_migration_that_adds_is_not_refused(database: Database) -> None:
    with database.write() as connection:
        before = tables(connection)
        for statement in (
            "ALTER TABLE scans ADD COLUMN added VARCHAR(8) NOT NULL DEFAULT ''",
            "ALTER TABLE scans ADD COLUMN optional INTEGER",
            "CREATE TABLE added (id INTEGER PRIMARY KEY, name VARCHAR(8) NOT NULL UNIQUE)",
            "CREATE INDEX added_index ON scans (instance)",
        ):
            connection.execute(sa.text(statement))
        assert takes_away(before, tables(connection)) == []
        connection.rollback()


def test_older_code_goes_on_with_tables_to_which_a_newer_version_added(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay(url)
    with Store(url) as store:
        store.migrate()
        following, present = migrated_by_newer(url, tmp_path, monkeypatch)
        database = Database(url)
        with database.write() as connection:
            connection.execute(sa.text("DROP INDEX ix_findings_observed"))
        store.migrate()
        assert store.revisions() == (following, present)
        assert store.is_supported()
        inspected(store, inventory(package("openssl")))
        (check,) = [check for check in check_store(Settings(), store) if check.name == "version"]
        assert check.status is CheckStatus.WARNING
    with database.read() as connection:
        names = {index["name"] for index in sa.inspect(connection).get_indexes("findings")}
    assert "ix_findings_observed" not in names, "not built again by a version that knows it alone"
    database.close()


def test_older_code_stops_where_a_newer_version_took_away_what_it_uses(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay(url)
    with Store(url) as store:
        store.migrate()
        following, present = migrated_by_newer(url, tmp_path, monkeypatch, takes=True)
        assert not store.is_supported()
        with pytest.raises(StoreError, match=f"revision {following}; this version's: {present}"):
            store.migrate()
    with Store(url) as store:
        (check,) = [check for check in check_store(Settings(), store) if check.name == "version"]
        assert check.status is CheckStatus.ERROR


def test_older_code_that_runs_while_a_newer_version_takes_away_does_nothing_more(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "GUARD_SECONDS", 0.0)
    lay(url)
    with Store(url) as store:
        store.migrate()
        before = store.deployment()
        following, present = migrated_by_newer(url, tmp_path, monkeypatch, takes=True)
        text = f"revision {following}; this version's: {present}"
        for _ in range(2):
            with pytest.raises(OutdatedCodeError, match=text):
                store.leases.hold("dispatcher", "old code", 60)
            with pytest.raises(OutdatedCodeError, match=text):
                store.instances.known()
        with pytest.raises(OutdatedCodeError, match=text):
            store.require_support()
    with Store(url) as newer:  # no version's code says no to a reader that migrates nothing
        assert newer.known_deployment() == before
        assert newer.leases.hold("dispatcher", "newer code", 60), "the old code wrote nothing"


def test_a_statement_that_fails_has_the_next_one_ask_whether_the_code_works_still(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The failure of a missing column would else be written down as the scan's own."""
    lay(url)
    with Store(url) as store:
        store.migrate()
        store.instances.known()  # asked just now
        migrated_by_newer(url, tmp_path, monkeypatch, takes=True)
        with pytest.raises(StoreError), store._database.read() as connection:
            connection.execute(sa.text("SELECT gone FROM scans"))
        with pytest.raises(OutdatedCodeError):
            store.instances.known()


def test_code_that_runs_goes_on_while_a_newer_version_adds(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "GUARD_SECONDS", 0.0)
    lay(url)
    with Store(url) as store:
        store.migrate()
        migrated_by_newer(url, tmp_path, monkeypatch)
        store.require_support()
        assert store.leases.hold("dispatcher", "old code", 60)


def test_a_newer_store_that_names_no_code_is_refused(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As versions left it that did not record it."""
    lay(url)
    with Store(url) as store:
        store.migrate()
        migrated_by_newer(url, tmp_path, monkeypatch)
        database = Database(url)
        with database.write() as connection:
            connection.execute(properties.delete())
        database.close()
        with pytest.raises(StoreError, match="a newer version of Sidelight"):
            store.migrate()
