"""An upgrade or a way back that is killed changes nothing, and the next one ends it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import MetaData, select

from sidelight.store import Store
from sidelight.store.base.engine import Database
from sidelight.store.migrate import go_back, migrate, newest
from tests.fixtures.searched_findings import fill

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.fakes.clocks import Clock

# Works on a store (argv: URL, revision or "head", statement), and holds before the first
# statement that contains a text, until it reads a line.
PROGRAM = """
import sys
from sqlalchemy import event
from sidelight.store.base.engine import Database
from sidelight.store.migrate import go_back, migrate

url, revision, at = sys.argv[1:]
database = Database(url)
held = []

@event.listens_for(database.engine, "before_cursor_execute")
def hold(connection, cursor, statement, parameters, context, many):
    if not held and at in f"{statement} {parameters}":
        held.append(statement)
        print("held", flush=True)
        sys.stdin.readline()

migrate(database) if revision == "head" else go_back(database, revision)
print("done", flush=True)
"""
OLD = "0027"
WAITING = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND wait_event_type = 'Lock'"
)
Rows = dict[str, list[str]]


def contents(url: str) -> Rows:
    """Every row of every table that there is, whatever the revision."""
    with closing(Database(url)) as database, database.read() as connection:
        tables = MetaData()
        tables.reflect(connection)
        return {
            table.name: sorted(repr(tuple(row)) for row in connection.execute(select(table)))
            for table in tables.sorted_tables
        }


class FilledStore:
    """A store with findings, left at the old revision: its rows there, and at the newest one."""

    def __init__(self, store: Store) -> None:
        self.url = store.where
        fill(store, 12)
        with closing(Database(self.url)) as database:
            go_back(database, OLD)
            migrate(database)
            self.new = contents(self.url)
            go_back(database, OLD)
            self.old = contents(self.url)


@pytest.fixture
def filled(store: Store) -> FilledStore:
    return FilledStore(store)


@contextmanager
def working(url: str, revision: str, at: str = "never") -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, url, revision, at],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        with process:
            yield process
    finally:
        process.kill()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def kill(process: subprocess.Popen[str], number: signal.Signals) -> None:
    assert line(process) == "held"
    os.kill(process.pid, number)
    assert process.wait() == -number


def upgrade(url: str) -> None:
    with Store(url) as store:
        store.migrate()
        assert store.revisions() == (newest(), newest())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("at", "number"),
    [("CREATE TABLE", signal.SIGKILL), ("0029", signal.SIGKILL), ("0033", signal.SIGTERM),
     ("oldest code", signal.SIGKILL)],
    ids=["first table", "after 0029", "after 0033", "last statement"],
)  # fmt: skip
def test_a_killed_upgrade_changes_nothing_and_the_next_one_loses_nothing(
    filled: FilledStore, at: str, number: signal.Signals
) -> None:
    text = f"UPDATE alembic_version SET version_num='{at}'" if at.isdigit() else at
    with working(filled.url, "head", text) as process:
        kill(process, number)
    assert contents(filled.url) == filled.old
    upgrade(filled.url)
    assert contents(filled.url) == filled.new


@pytest.mark.slow
@pytest.mark.parametrize(
    ("at", "number"), [("0034", signal.SIGKILL), ("0029", signal.SIGTERM), (OLD, signal.SIGKILL)]
)
def test_a_killed_way_back_changes_nothing_and_the_next_one_ends_it(
    filled: FilledStore, at: str, number: signal.Signals
) -> None:
    upgrade(filled.url)
    with working(filled.url, OLD, f"UPDATE alembic_version SET version_num='{at}'") as process:
        kill(process, number)
    assert contents(filled.url) == filled.new
    with closing(Database(filled.url)) as database:
        go_back(database, OLD)
    assert contents(filled.url) == filled.old


@pytest.mark.services
@pytest.mark.parametrize(
    ("first", "second"), [("head", "head"), ("0030", "0029"), ("0030", "0030")]
)
def test_two_at_once_take_turns(
    make_postgresql: Callable[[], str], clock: Clock, first: str, second: str
) -> None:
    """SQLite's lock is that of all writers."""
    url = make_postgresql()
    with Store(url, clock=clock) as store:
        store.migrate()
        filled = FilledStore(store)
    if first != "head":
        upgrade(url)
    step = "UPDATE alembic_version SET version_num="
    with working(url, first, step) as one:
        assert line(one) == "held"
        with working(url, second) as other:
            until(url, WAITING)
            assert one.stdin is not None
            one.stdin.write("\n")
            one.stdin.flush()
            assert (line(one), one.wait()) == ("done", 0)
            # It does what is left to do after the first one.
            assert (line(other), other.wait()) == ("done", 0)
    with Store(url) as store:
        assert store.revisions()[0] == (newest() if second == "head" else second)
    upgrade(url)
    assert contents(url) == filled.new


def until(url: str, query: str) -> None:
    """Return when the server counts at least one."""
    with psycopg.connect(url, autocommit=True) as connection:
        for _ in range(100_000):
            row = connection.execute(query.encode()).fetchone()
            if row is not None and row[0]:
                return
    raise AssertionError(query)
