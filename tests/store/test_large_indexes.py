"""Upgrades while the fleet works: no large table is locked, and what was killed is continued."""

from __future__ import annotations

import ast
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from sidelight.errors import StoreError
from sidelight.store import Store, migrations
from sidelight.store.base.engine import Database
from sidelight.store.base.schema import metadata
from sidelight.store.large_indexes import LARGE_TABLES, RETIRED, build_missing
from sidelight.store.migrate import go_back, migrate, newest
from tests.fixtures.searched_findings import fill

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.fakes.clocks import Clock

VERSIONS = sorted(Path(str(migrations.__file__)).with_name("versions").glob("[0-9]*.py"))
# From here on, indexes on large tables are built outside of transactions.
FIRST_CHECKED = "0028"
services = pytest.mark.services
CHANGE = "UPDATE findings SET updated_at = updated_at WHERE id = {}"
WAITING = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND query LIKE 'CREATE%INDEX CONCURRENTLY%' AND wait_event_type = 'Lock'"
)
QUEUED = (
    "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database"
    " WHERE NOT granted AND mode = 'AccessExclusiveLock' AND datname = current_database()"
)


@pytest.fixture
def filled(make_postgresql: Callable[[], str], clock: Clock) -> Iterator[tuple[Database, str]]:
    """A PostgreSQL with findings, and its address for psycopg."""
    url = make_postgresql()
    with Store(url, clock=clock) as store:
        store.migrate()
        fill(store, 12)
    database = Database(url)
    yield database, url
    database.close()


def valid_indexes(address: str) -> set[str]:
    query = (
        "SELECT names.relname FROM pg_index JOIN pg_class AS names ON names.oid = indexrelid"
        " WHERE indisvalid AND indisready"
    )
    with psycopg.connect(address) as connection:
        return {str(row[0]) for row in connection.execute(query)}


def until(address: str, query: str) -> None:
    """Return when the server counts at least one."""
    with psycopg.connect(address, autocommit=True) as connection:
        for _ in range(100_000):
            row = connection.execute(query.encode()).fetchone()
            if row is not None and row[0]:
                return
    raise AssertionError(query)


@contextmanager
def running(work: Callable[[], object]) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    yield thread
    thread.join(60)
    assert not thread.is_alive()


def write(address: str, number: int) -> None:
    """A worker's change of a finding, which waits for nobody."""
    with psycopg.connect(address) as connection:
        connection.execute("SET lock_timeout = '5s'")
        done = connection.execute(CHANGE.format(number).encode())
        assert done.rowcount == 1


@services
def test_findings_are_written_while_an_index_is_built(filled: tuple[Database, str]) -> None:
    database, address = filled
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("DROP INDEX ix_findings_observed")
    # An open transaction that has written: a build in a transaction would wait for it, and all
    # others would wait with writing behind the build.
    with psycopg.connect(address) as worker:
        worker.execute(CHANGE.format(1).encode())
        with running(lambda: migrate(database)):
            until(address, WAITING)
            write(address, 2)
            worker.commit()
    assert "ix_findings_observed" in valid_indexes(address)


@services
def test_a_migration_that_has_to_lock_findings_lets_others_go_on_and_is_tried_again(
    filled: tuple[Database, str],
) -> None:
    database, address = filled
    go_back(database, "0030")
    pauses: list[float] = []
    with psycopg.connect(address) as worker:
        worker.execute(CHANGE.format(1).encode())

        def pause(seconds: float) -> None:
            pauses.append(seconds)
            write(address, 2)
            worker.commit()

        with running(lambda: migrate(database, pause)):
            until(address, QUEUED)
            write(address, 3)  # queued behind the migration, which gives up first
    assert pauses == [1.0]
    assert {"ix_findings_observed"} <= valid_indexes(address)
    assert not RETIRED & valid_indexes(address)


@services
@pytest.mark.parametrize("revision", ["0027", "0030"])
def test_an_upgrade_with_findings_ends_with_the_tables_of_the_code(
    filled: tuple[Database, str], revision: str
) -> None:
    database, address = filled
    go_back(database, revision)
    assert RETIRED & valid_indexes(address)
    migrate(database)
    assert not RETIRED & valid_indexes(address)
    with database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


@services
def test_a_killed_build_leaves_an_invalid_index_and_the_next_makes_it_again(
    filled: tuple[Database, str],
) -> None:
    database, address = filled
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("DROP INDEX ix_findings_observed")
    failures: list[StoreError] = []

    def killed() -> None:
        try:
            build_missing(database)
        except StoreError as error:
            failures.append(error)

    with psycopg.connect(address) as worker:
        worker.execute(CHANGE.format(1).encode())
        with running(killed), psycopg.connect(address, autocommit=True) as connection:
            until(address, WAITING)
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE"
                " query LIKE 'CREATE%INDEX CONCURRENTLY%' AND datname = current_database()"
            )
    assert len(failures) == 1
    assert "ix_findings_observed" not in valid_indexes(address)
    with psycopg.connect(address) as connection:
        invalid = "SELECT count(*) FROM pg_index WHERE NOT indisvalid"
        row = connection.execute(invalid.encode()).fetchone()
        assert row == (1,)
    migrate(database)
    assert "ix_findings_observed" in valid_indexes(address)


@services
def test_where_another_process_builds_nothing_waits(filled: tuple[Database, str]) -> None:
    database, address = filled
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("DROP INDEX ix_findings_observed")
    other = Database(database.engine.url.render_as_string(hide_password=False))
    with psycopg.connect(address) as worker:
        worker.execute(CHANGE.format(1).encode())
        with running(lambda: migrate(database)):
            until(address, WAITING)
            migrate(other)
            assert "ix_findings_observed" not in valid_indexes(address)
            worker.commit()
    other.close()
    assert "ix_findings_observed" in valid_indexes(address)


def calls_of(path: Path) -> Iterator[tuple[int, str, list[object]]]:
    """The lines, names and constant arguments of a migration's calls of `op`."""
    tree = ast.parse(path.read_text("utf-8"))
    bodies = [
        node
        for node in tree.body
        if not (isinstance(node, ast.FunctionDef) and node.name == "downgrade")
    ]
    for body in bodies:
        for node in ast.walk(body):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id == "op"
            ):
                values = [*node.args, *(keyword.value for keyword in node.keywords)]
                constants: list[object] = [
                    item.value for item in values if isinstance(item, ast.Constant)
                ]
                yield node.lineno, node.func.attr, constants


LOCKING = {
    "create_index", "drop_index", "create_unique_constraint", "create_check_constraint",
    "create_foreign_key", "alter_column", "batch_alter_table",
}  # fmt: skip


@pytest.mark.parametrize(
    "path",
    [path for path in VERSIONS if path.name >= FIRST_CHECKED],
    ids=lambda path: path.name[:4],
)
def test_no_new_migration_locks_a_large_table_for_as_long_as_it_is_large(path: Path) -> None:
    found = [
        f"{path.name}:{line}: op.{name}: use sidelight.store.large_indexes"
        for line, name, constants in calls_of(path)
        if name in LOCKING and LARGE_TABLES & set(map(str, constants))
    ]
    assert found == []


def test_a_migration_with_a_plain_index_on_findings_would_be_refused(tmp_path: Path) -> None:
    path = tmp_path / "9999_slow.py"
    path.write_text(
        'def upgrade():\n    op.create_index("ix", "findings", ["a"])\n'
        'def downgrade():\n    op.drop_index("ix", table_name="findings")\n'
    )
    assert [(name, line) for line, name, _ in calls_of(path)] == [("create_index", 2)]


@pytest.mark.parametrize("path", VERSIONS, ids=lambda path: path.name[:4])
def test_every_migration_has_a_way_back(path: Path) -> None:
    (downgrade,) = [
        node
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name == "downgrade"
    ]
    names = {node.id for node in ast.walk(downgrade) if isinstance(node, ast.Name)}
    reason = ast.get_docstring(downgrade) or ""
    if "NotImplementedError" in names:
        assert reason.startswith("Back is not possible: "), "say why"
    else:
        assert any(isinstance(node, ast.Call) for node in ast.walk(downgrade))


@pytest.mark.slow
def test_each_step_back_and_forward_keeps_the_store_usable(store: Store) -> None:
    """On both kinds, with findings: as a rollback of a release and its next try."""
    fill(store, 12)
    database = Database(store.where)
    for revision in ("0031", "0030", "0029", "0028", "0027", "0013", "0003"):
        go_back(database, revision)
        migrate(database)
        with database.read() as connection:
            assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    assert store.revisions() == (newest(), newest())
    database.close()
