"""Stores on SQLite, and on a PostgreSQL server of the tests' own where it is installed."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sidelight.store import Store
from tests.store.templates import lay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Clock:
    """Time by hand."""

    def __init__(self) -> None:
        self.time = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def advance(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def _as_postgres() -> dict[str, int]:
    """PostgreSQL refuses to run as root: then as its package's user, or as nobody."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return {"user": entry.pw_uid, "group": entry.pw_gid}
    pytest.skip("root, and there is no user postgres or nobody to run PostgreSQL as")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """A server on a Unix socket in a directory of its own; its URL without a database's name."""
    initdb = shutil.which("initdb")
    if initdb is None:
        pytest.skip("PostgreSQL's initdb is not installed")
    pytest.importorskip("psycopg", reason="psycopg is not installed (extra postgres)")
    binaries = Path(initdb).resolve().parent
    user = _as_postgres()
    with tempfile.TemporaryDirectory(prefix="pg") as name:
        directory = Path(name)
        if user:
            os.chown(directory, user["user"], user["group"])
        data = directory / "data"
        options = f"-c listen_addresses='' -c unix_socket_directories={directory} -c fsync=off"
        run(user, binaries / "initdb", "-D", data, "-U", "sidelight", "-A", "trust", "-E", "UTF8")
        control = binaries / "pg_ctl"
        run(user, control, "-D", data, "-w", "-l", directory / "log", "-o", options, "start")
        try:
            yield f"postgresql://sidelight@/{{}}?host={directory}"
        finally:
            run(user, control, "-D", data, "-w", "-m", "immediate", "stop")


def run(user: dict[str, int], *command: object) -> None:
    subprocess.run(
        [str(part) for part in command],
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        user=user.get("user"),
        group=user.get("group"),
    )


@pytest.fixture
def make_postgresql(postgresql: str) -> Iterator[Callable[[], str]]:
    """URLs of fresh databases."""
    import psycopg

    made: list[str] = []

    def make() -> str:
        name = f"t{uuid.uuid4().hex}"
        with psycopg.connect(postgresql.format("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        made.append(name)
        return postgresql.format(name)

    yield make
    with psycopg.connect(postgresql.format("postgres"), autocommit=True) as connection:
        for name in made:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.services)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Each test on both."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store.db"
    fresh: str = request.getfixturevalue("make_postgresql")()
    return fresh


@pytest.fixture
def store(url: str, clock: Clock) -> Iterator[Store]:
    lay(url)
    with Store(url, clock=clock) as store:
        store.migrate()
        yield store
