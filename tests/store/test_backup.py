"""Backup and restore by the commands of docs/upgrades.md, and the way back, on both kinds."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from sidelight.store import Store
from sidelight.store.base.engine import Database
from sidelight.store.base.schema import findings, instances, metadata
from tests.fixtures.searched_findings import fill
from tests.fixtures.store_templates import lay

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fakes.clocks import Clock

DOCUMENT = (Path(__file__).resolve().parents[2] / "docs" / "upgrades.md").read_text("utf-8")
BLOCKS = re.findall(r"```\n(.*?)```", DOCUMENT, re.DOTALL)


def command(start: str) -> str:
    (found,) = [block for block in BLOCKS if block.startswith(start)]
    return str(found)


def run(text: str, directory: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    # The `python` of the document is that which has Sidelight.
    tools = directory / "bin"
    tools.mkdir(exist_ok=True)
    for name in ("python", "python3"):
        link = tools / name
        if not link.exists():
            link.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
            link.chmod(0o755)
    environment = os.environ | {"PATH": f"{tools}:{os.environ['PATH']}"} | variables
    return subprocess.run(
        ["bash", "-ec", text], cwd=directory, env=environment, check=False, capture_output=True,
        text=True,
    )  # fmt: skip


def contents(url: str) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table."""
    database = Database(url)
    with database.read() as connection:
        rows = {
            table.name: sorted(map(tuple, connection.execute(select(table))), key=repr)
            for table in metadata.sorted_tables
        }
    database.close()
    return rows


def work(store: Store) -> None:
    """A change after the backup."""
    with closing(Database(store.where)) as database, database.write() as connection:
        connection.execute(findings.delete())


def test_sqlite_is_backed_up_while_it_is_used_and_restored(tmp_path: Path, clock: Clock) -> None:
    url = f"sqlite:///{tmp_path}/sidelight.db"
    lay(url)
    with Store(url, clock=clock) as store:
        store.migrate()
        fill(store, 12)
        # A reader and an open transaction: the newest commits are in the write-ahead log.
        with closing(Database(url)) as database, database.write() as connection:
            before = contents(url)
            connection.execute(instances.delete())
            done = run(command("python3 -c"), tmp_path)
            assert (done.returncode, done.stderr) == (0, "")
            connection.rollback()
        work(store)
    for name in ("sidelight.db-wal", "sidelight.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    (tmp_path / "backup.db").replace(tmp_path / "sidelight.db")
    assert before["findings"]
    assert contents(url) == before
    with Store(url, clock=clock) as store:
        store.migrate()
        fill(store, 12)


def test_a_backup_of_no_store_or_over_another_backup_fails(tmp_path: Path) -> None:
    text = command("python3 -c")
    done = run(text, tmp_path)
    assert done.returncode != 0
    assert "unable to open" in done.stderr
    assert not (tmp_path / "backup.db").exists()
    lay(f"sqlite:///{tmp_path}/sidelight.db")
    (tmp_path / "backup.db").write_bytes(b"the backup of yesterday")
    done = run(text, tmp_path)
    assert done.returncode != 0
    assert (tmp_path / "backup.db").read_bytes() == b"the backup of yesterday"


@pytest.mark.services
def test_postgresql_is_dumped_while_it_is_used_and_restored(
    make_postgresql: Callable[[], str], tmp_path: Path, clock: Clock
) -> None:
    if shutil.which("pg_dump") is None:
        pytest.skip("PostgreSQL's pg_dump is not installed")
    url, restored = make_postgresql(), make_postgresql()
    with Store(url, clock=clock) as store:
        store.migrate()
        fill(store, 12)
        before = contents(url)
        done = run(command("pg_dump"), tmp_path, DATABASE=url)
        assert (done.returncode, done.stderr) == (0, "")
    done = run(command("pg_restore"), tmp_path, RESTORED=restored)
    assert (done.returncode, done.stderr) == (0, "")
    assert before["findings"]
    assert contents(restored) == before
    with Store(restored, clock=clock) as store:
        store.migrate()
        assert store.revisions()[0] == store.revisions()[1]
        fill(store, 12)  # numbers and triggers go on


@pytest.mark.slow
def test_the_command_that_goes_back_names_what_it_cannot_do(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/sidelight.db"
    lay(url)
    with Store(url) as store:
        store.migrate()
        newest = store.revisions()[1]
    back = command("python -m sidelight.store")
    done = run(back.replace("REVISION", "0030"), tmp_path, SIDELIGHT_STORE_URL=url)
    assert (done.returncode, done.stderr) == (0, "")
    with Store(url) as store:
        assert store.revisions() == ("0030", newest)
    for revision in ("0001", "9999"):
        done = run(back.replace("REVISION", revision), tmp_path, SIDELIGHT_STORE_URL=url)
        assert done.returncode == 1
        assert f"cannot go back to {revision}" in done.stderr
    with Store(url) as store:
        assert store.revisions() == ("0030", newest), "all or nothing"


def test_the_way_back_takes_no_address_as_an_argument_and_makes_no_store(tmp_path: Path) -> None:
    """Arguments can be read by all users of a machine, and an address has a password."""
    back = command("python -m sidelight.store").replace("REVISION", "0030")
    url = f"sqlite:///{tmp_path}/typo.db"
    for text, stored in ((f"python -m sidelight.store {url} 0030", url), (back, "")):
        done = run(text, tmp_path, SIDELIGHT_STORE_URL=stored)
        assert (done.returncode, done.stderr[:27]) == (1, "usage: SIDELIGHT_STORE_URL=")
    done = run(back, tmp_path, SIDELIGHT_STORE_URL=url)
    assert (done.returncode, done.stderr) == (1, f"{url}: no such file\n")
    assert not (tmp_path / "typo.db").exists()
