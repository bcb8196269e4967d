"""The services themselves fail: Redis flushed or restarted, PostgreSQL restarted, disks full.

The command runs in the middle of a life, between two of its calls.
"""

from __future__ import annotations

import shutil
import sqlite3
import sys
from contextlib import closing, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event

from sidelight.errors import StoreError
from sidelight.model import State
from tests.fakes.fake_fleet import FakeFleet
from tests.fixtures import service_faults
from tests.fixtures.redis_servers import client, free_port, server
from tests.fixtures.service_faults import end
from tests.fixtures.store_urls import quick_directory, sqlite_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.fixtures.fleet_lives import Fleet, Found


@pytest.mark.services
@pytest.mark.images
@pytest.mark.long
@pytest.mark.parametrize("name", ["ec2.CreateSnapshots", "ebs.GetSnapshotBlock", "worker.delete"])
def test_redis_flushed_in_the_middle_of_a_scan(
    fleet: Fleet, rehearsal: tuple[list[str], Found], name: str
) -> None:
    flush = f"import redis; redis.Redis.from_url({fleet.broker!r}).flushall()"
    fleet.begin()
    status, _ = fleet.live({"mode": "run", "name": name, "command": [sys.executable, "-c", flush]})
    assert status == 0, "the tick publishes again what was lost"
    fleet.check(rehearsal[1], f"flushed at {name}")


@pytest.mark.services
@pytest.mark.images
@pytest.mark.long
def test_the_advisory_database_replaced_in_the_middle_of_a_scan(
    fleet: Fleet, rehearsal: tuple[list[str], Found], tmp_path: Path
) -> None:
    """Each evaluation is by one database: the one that is there when it begins."""
    original = fleet.advisories
    present = tmp_path / "advisories.db"
    shutil.copyfile(original, present)
    replace = (
        f"import os, shutil; shutil.copyfile({str(original)!r}, {str(present) + '.new'!r}); "
        f"os.replace({str(present) + '.new'!r}, {str(present)!r})"
    )
    fleet.begin()
    fleet.settings = {"SIDELIGHT_ADVISORIES": str(present)}
    try:
        status, _ = fleet.live(
            {"mode": "run", "name": "store.evaluate",
             "command": [sys.executable, "-c", replace]}
        )  # fmt: skip
    finally:
        fleet.settings = {}
    assert status == 0
    fleet.check(rehearsal[1], "replaced")


def outlives(
    fleet: Fleet,
    expected: Found,
    program: str,
    *,
    names: tuple[str, ...] = ("store.intend", "ebs.GetSnapshotBlock", "store.finish"),
    service: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> None:
    """Scans in which the program runs, at one of these points each, find what they always do.

    Each with the service of its own.
    """
    for name in names:
        with service():
            fleet.begin()
            fleet.live({"mode": "run", "name": name, "command": [sys.executable, "-c", program]})
            fleet.recover(name)
            fleet.check(expected, f"{program} at {name}")


@pytest.fixture
def on_postgresql(fleet: Fleet, postgresql: str) -> Iterator[str]:
    fleet.postgresql = postgresql
    yield postgresql
    fleet.postgresql = ""


@pytest.mark.services
@pytest.mark.images
@pytest.mark.long
def test_every_connection_of_postgresql_ended_in_the_middle_of_a_scan(
    fleet: Fleet, rehearsal: tuple[list[str], Found], on_postgresql: str
) -> None:
    """What a restart or a failover does to its clients, at three moments."""
    end = (
        f"import psycopg; psycopg.connect({on_postgresql.format('postgres')!r}, autocommit=True)"
        ".execute('SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE pid <> pg_backend_pid() AND backend_type = $$client backend$$')"
    )
    outlives(fleet, rehearsal[1], end)


@pytest.mark.services
@pytest.mark.images
@pytest.mark.long
def test_postgresql_killed_and_started_again_in_the_middle_of_a_scan(
    fleet: Fleet, rehearsal: tuple[list[str], Found], on_postgresql: str
) -> None:
    """It ends at once, without a word to its clients, and recovers from its log."""
    outlives(
        fleet,
        rehearsal[1],
        f"from {service_faults.__name__} import again; again({on_postgresql!r})",
    )


@pytest.mark.services
@pytest.mark.images
@pytest.mark.long
@pytest.mark.parametrize("kept", ["yes", "no"])
def test_redis_killed_and_started_again_in_the_middle_of_a_scan(
    fleet: Fleet, rehearsal: tuple[list[str], Found], tmp_path: Path, kept: str
) -> None:
    """With what it had written, and with nothing."""
    port, broker = free_port(), fleet.broker
    lines = [f"port {port}", f"appendonly {kept}", "appendfsync always", "daemonize no", 'save ""',
             f"pidfile {tmp_path / 'pid'}"]  # fmt: skip
    fleet.broker = f"redis://127.0.0.1:{port}/0"

    @contextmanager
    def one() -> Iterator[None]:
        with server(tmp_path, lines, probe=client(port)):
            try:
                yield
            finally:
                end(tmp_path)

    try:
        outlives(
            fleet,
            rehearsal[1],
            f"from {__name__} import restarted; restarted({str(tmp_path)!r}, {port})",
            names=("ec2.CreateSnapshots", "ebs.GetSnapshotBlock", "worker.delete"),
            service=one,
        )
    finally:
        fleet.broker = broker


@pytest.fixture
def fake_fleet() -> Iterator[FakeFleet]:
    with quick_directory() as directory, closing(FakeFleet(sqlite_url(directory))) as fake_fleet:
        yield fake_fleet


def limit_pages(fake_fleet: FakeFleet, more: int) -> Callable[[], None]:
    """The store may grow by so many pages: beyond that SQLite says that the disk is full.

    What ends that.
    """
    engine: Any = fake_fleet.store._database.engine
    raw = engine.raw_connection()
    (now,) = raw.cursor().execute("PRAGMA page_count").fetchone()
    raw.close()

    def limited(connection: Any, _: object) -> None:
        connection.cursor().execute(f"PRAGMA max_page_count={now + more}")

    engine.dispose()
    event.listen(engine, "connect", limited)

    def unlimit() -> None:
        event.remove(engine, "connect", limited)
        engine.dispose()

    return unlimit


@pytest.mark.parametrize("more", [0, 1, 2, 3])
def test_a_full_disk_costs_time_and_no_snapshot(fake_fleet: FakeFleet, more: int) -> None:
    fake_fleet.start_through_faults()
    unlimit = limit_pages(fake_fleet, more)
    for _ in range(60):
        try:
            fake_fleet.run(rounds=1)
        except AssertionError:
            continue
    unlimit()
    fake_fleet.run()
    fake_fleet.clock.advance(60)
    fake_fleet.sweep()
    assert not fake_fleet.ec2.snapshots
    if fake_fleet.states() == {State.FAILED}:
        fake_fleet.start()
        fake_fleet.run()
    assert State.DONE in fake_fleet.states()
    assert len(fake_fleet.findings()) == 4


def test_a_locked_database_is_waited_for_and_harms_nothing(fake_fleet: FakeFleet) -> None:
    fake_fleet.start_through_faults()
    path = fake_fleet.store.where.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked"):
            fake_fleet.store.scans.claim(fake_fleet.store.scans.select()[0].id, {State.NEW}, 60)
        other.execute("ROLLBACK")
    fake_fleet.run()
    assert fake_fleet.states() == {State.DONE}
    assert len(fake_fleet.findings()) == 4
    assert not fake_fleet.ec2.snapshots
