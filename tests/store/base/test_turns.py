"""Threads that write to one SQLite store take turns, however busy each of them is."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from sidelight.errors import StoreError
from sidelight.store.base.engine import Database
from sidelight.store.base.turns import TurnError, Turns

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(f"sqlite:///{tmp_path}/store.db", busy_seconds=20.0)
    with opened.write() as connection:
        connection.execute(text("CREATE TABLE turns (thread INTEGER)"))
    yield opened
    opened.close()


def test_a_waiting_thread_has_its_turn_before_the_last_writer_writes_again() -> None:
    turns, order = Turns(20.0), []

    def wait() -> None:
        with turns:
            order.append("waiting")

    with ThreadPoolExecutor(1) as pool:
        with turns:
            order.append("first")
            waiting = pool.submit(wait)
            while not turns._next.locked():  # until the other thread waits
                assert not waiting.done()
        with turns:
            order.append("again")
        waiting.result(10)
    assert order == ["first", "waiting", "again"]


def test_each_thread_of_many_writes_within_its_patience(database: Database) -> None:
    def write(thread: int) -> None:
        for _ in range(20):
            with database.write() as connection:
                connection.execute(text("INSERT INTO turns VALUES (:thread)"), {"thread": thread})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    with database.read() as connection:
        counts = connection.execute(text("SELECT count(*) FROM turns GROUP BY thread")).scalars()
        assert list(counts) == [20] * 8


def test_a_thread_that_waited_in_vain_gets_an_error_and_the_next_one_its_turn(
    tmp_path: Path,
) -> None:
    database = Database(f"sqlite:///{tmp_path}/store.db", busy_seconds=0.01)
    with ThreadPoolExecutor(1) as pool:
        with database.write():
            refused = pool.submit(lambda: database.write().__enter__())
            with pytest.raises(StoreError, match="database is locked by another thread"):
                refused.result(10)
        with database.write() as connection:
            connection.execute(text("CREATE TABLE turns (thread INTEGER)"))
    database.close()


def test_a_turn_ends_with_an_error_of_its_writer() -> None:
    turns = Turns(0.01)
    with pytest.raises(ValueError, match="bad"), turns:
        raise ValueError("bad")
    with turns, pytest.raises(TurnError):
        turns.__enter__()
    with turns:
        pass
