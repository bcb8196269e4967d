"""The services themselves fail: Redis flushed or restarted, PostgreSQL restarted, disks full.

The command runs in the middle of a life, between two of its calls.
"""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis
from sqlalchemy import event

from sidelight.errors import StoreError
from sidelight.model import State
from tests.faults.test_every_call import fleet, rehearsal
from tests.faults.test_every_point import start
from tests.faults.test_killed_workers import advisories, image
from tests.store.conftest import _as_postgres, run
from tests.workers.bench import World, quick_directory, sqlite_url
from tests.workers.servers import client, free_port, server, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from tests.faults.fleet import Fleet, Found

__all__ = ["advisories", "again", "fleet", "image", "rehearsal"]


def again(url: str) -> None:
    """What a life runs: PostgreSQL crashes and is started."""
    data = Path(url.rpartition("host=")[2]) / "data"
    initdb = shutil.which("initdb")
    assert initdb is not None
    control = Path(initdb).resolve().parent / "pg_ctl"
    run(_as_postgres(), control, "-D", data, "-w", "-m", "immediate",
        "-l", data.parent / "log", "restart")  # fmt: skip


def restarted(directory: str, port: int) -> None:
    """What a life runs: Redis is killed and another one started in its place."""
    end(Path(directory))
    program = shutil.which("redis-server")
    assert program is not None
    subprocess.Popen([program, f"{directory}/redis.conf"], stdout=subprocess.DEVNULL)
    with closing(client(port)) as probe:
        wait_for(lambda: answers(probe), "Redis's answer")


def answers(probe: Any) -> bool:
    """Whether it is there and has read its file."""
    try:
        return bool(probe.ping())
    except redis.RedisError:
        return False


def end(directory: Path) -> None:
    """Kill the Redis of this directory."""
    pid = int((directory / "pid").read_text())
    os.kill(pid, signal.SIGKILL)
    process = Path(f"/proc/{pid}/cmdline")  # empty where nobody has waited for it yet
    wait_for(lambda: not process.exists() or not process.read_bytes(), "Redis's end")


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
    given = fleet.advisories
    present = tmp_path / "advisories.db"
    shutil.copyfile(given, present)
    replace = (
        f"import os, shutil; shutil.copyfile({str(given)!r}, {str(present) + '.new'!r}); "
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
    outlives(fleet, rehearsal[1], f"from {__name__} import again; again({on_postgresql!r})")


@pytest.mark.services
@pytest.mark.images
@pytest.mark.long
@pytest.mark.parametrize("kept", ["yes", "no"])
def test_redis_killed_and_started_again_in_the_middle_of_a_scan(
    fleet: Fleet, rehearsal: tuple[list[str], Found], tmp_path: Path, kept: str
) -> None:
    """With what it had written, and with nothing."""
    port, given = free_port(), fleet.broker
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
        fleet.broker = given


@pytest.fixture
def world() -> Iterator[World]:
    with quick_directory() as directory, closing(World(sqlite_url(directory))) as world:
        yield world


def limit_pages(world: World, more: int) -> Callable[[], None]:
    """The store may grow by so many pages: beyond that SQLite says that the disk is full.

    What ends that.
    """
    engine: Any = world.store._database.engine
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
def test_a_full_disk_costs_time_and_no_snapshot(world: World, more: int) -> None:
    start(world)
    unlimit = limit_pages(world, more)
    for _ in range(60):
        try:
            world.run(rounds=1)
        except AssertionError:
            continue
    unlimit()
    world.run()
    world.clock.advance(60)
    world.sweep()
    assert not world.ec2.snapshots
    if world.states() == {State.FAILED}:
        world.start()
        world.run()
    assert State.DONE in world.states()
    assert len(world.findings()) == 4


def test_a_locked_database_is_waited_for_and_harms_nothing(world: World) -> None:
    start(world)
    path = world.store.where.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked"):
            world.store.scans.claim(world.store.scans.select()[0].id, {State.NEW}, 60)
        other.execute("ROLLBACK")
    world.run()
    assert world.states() == {State.DONE}
    assert len(world.findings()) == 4
    assert not world.ec2.snapshots
