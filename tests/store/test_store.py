"""Opening a store: its tables, its URL, its refusals."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import event, text

from sidelight.errors import StoreError, UsageError
from sidelight.model import LIVE, Coverage, Instance, State, Volume
from sidelight.store import Store
from sidelight.store.base.schema import metadata
from tests.fakes.clocks import Clock
from tests.fixtures.scan_states import reach

if TYPE_CHECKING:
    from pathlib import Path

MIGRATE = "import sys; from sidelight.store import Store; Store(sys.argv[1]).migrate()"


def instance(number: int) -> Instance:
    volumes = (Volume(f"vol-{number}", "/dev/sda1", 8),)
    return Instance(f"i-{number}", "123456789012", "eu-west-1", "running", volumes, name="web")


def test_the_migrations_make_the_tables_that_the_code_uses(store: Store) -> None:
    with store._database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


@pytest.mark.slow
def test_several_processes_may_migrate_at_once(url: str) -> None:
    processes = [subprocess.Popen([sys.executable, "-c", MIGRATE, url]) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    with Store(url) as store:
        assert store.scans.counts() == {}


def test_a_store_of_a_newer_version_is_refused_and_left_as_it_is(store: Store) -> None:
    with store._database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        connection.execute(text("UPDATE properties SET value = '9998' WHERE name = 'oldest code'"))
    with pytest.raises(StoreError, match="revision 9999; this version's: "):
        store.migrate()


def test_a_store_has_one_deployment_and_another_store_another(store: Store, tmp_path: Path) -> None:
    assert store.deployment() == store.deployment()
    with Store(f"sqlite:///{tmp_path}/other.db") as other:
        other.migrate()
        assert other.deployment() != store.deployment()


@pytest.mark.parametrize("url", ["", "nonsense", "sqlite:/x", "oracle9://x", "postgresql://h:x/"])
def test_what_is_no_url_is_wrong_usage(url: str) -> None:
    with pytest.raises(UsageError, match="not a store's URL"):
        Store(url)


def test_a_store_that_cannot_be_opened_is_one_line(tmp_path: Path) -> None:
    with (
        Store(f"sqlite:///{tmp_path}/absent/store.db") as store,
        pytest.raises(StoreError, match=r"store\.db: unable to open database file$"),
    ):
        store.migrate()


def test_a_password_is_not_in_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "2")
    with Store("postgresql://me:hunter2@/x?host=/nonexistent") as store:
        with pytest.raises(StoreError) as caught:
            store.scans.counts()
        assert "hunter2" not in str(caught.value)


def test_a_locked_sqlite_store_is_an_error_after_its_timeout(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    with Store(url) as one, Store(url, busy_seconds=0.05) as two:
        one.migrate()
        with one._database.write(), pytest.raises(StoreError, match="database is locked"):
            two.deployment()
        assert two.scans.counts() == {}, "readers do not wait for a writer"
        assert two.deployment()


def test_a_damaged_document_is_a_store_error(store: Store) -> None:
    store.instances.discovered("123456789012", "eu-west-1", [instance(1)])
    for document in ("{", "[]", '{"id": 1}', "null"):
        with store._database.write() as connection:
            connection.execute(text("UPDATE instances SET document = :d"), {"d": document})
        with pytest.raises(StoreError, match="not a stored Instance"):
            store.instances.instance("123456789012", "i-1")


def test_discovery_says_who_is_gone_and_forgets_it_once(store: Store) -> None:
    place = ("123456789012", "eu-west-1")
    assert store.instances.discovered(*place, [instance(1), instance(2)]) == []
    assert store.instances.discovered(*place, [instance(2)]) == ["i-1"]
    assert store.instances.discovered(*place, [instance(2)]) == []
    assert [known.instance for known in store.instances.known()] == [instance(2)]


def test_a_known_instance_has_its_last_scan_and_its_live_one(store: Store, clock: Clock) -> None:
    place = ("123456789012", "eu-west-1")
    store.instances.discovered(*place, [instance(1)])
    first = store.scans.create([(*place, "i-1")], "here")[0]
    held = store.scans.claim(first.id, LIVE, 60)
    assert held is not None
    covered = Coverage(*place, "i-1", "web", "ACTIVE", "SUCCESSFUL", scanned_at=clock())
    store.instances.finish(reach(store, held, State.DELETING), State.DONE, covered)
    clock.advance(100)
    second = store.scans.create([(*place, "i-1")], "here")[0]
    known = store.instances.known(account=place[0], region=place[1])[0]
    assert (known.scanned_at, known.tried_at, known.live_scan) == (
        first.created_at,
        second.created_at,
        second.id,
    )


def test_coverage_keeps_the_last_scan_when_a_later_one_fails(store: Store, clock: Clock) -> None:
    row: dict[str, Any] = {"account": "1", "region": "r", "instance": "i-1", "name": "web"}
    good = Coverage(**row, status_code="ACTIVE", reason="SUCCESSFUL", scanned_at=clock())
    bad = Coverage(**row, status_code="INACTIVE", reason="INTERNAL_ERROR", detail="disk on fire")
    store.instances.cover([good])
    scanned = clock()
    clock.advance(1)
    store.instances.cover([bad])
    present = store.instances.coverage()[0]
    assert (present.reason, present.scanned_at, present.updated_at) == (
        "INTERNAL_ERROR",
        scanned,
        clock(),
    )


def test_of_a_discovery_only_what_changed_is_written(store: Store, clock: Clock) -> None:
    place = ("123456789012", "eu-west-1")
    fleet = [instance(number) for number in range(3)]
    store.instances.discovered(*place, fleet)
    written: list[str] = []

    def seen(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith("INSERT INTO instances"):
            written.append(str(parameters))

    event.listen(store._database.engine, "before_cursor_execute", seen)
    clock.advance(3600)
    changed = replace(fleet[1], state="stopped")
    assert store.instances.discovered(*place, [fleet[0], changed, fleet[2]]) == []
    assert len(written) == 1
    assert "i-1" in written[0]
    assert "i-0" not in written[0]
    known = store.instances.known()
    assert [one.instance for one in known] == [fleet[0], changed, fleet[2]]
    assert {one.seen_at for one in known} == {clock()}


def test_an_instance_that_comes_back_is_known_again(store: Store) -> None:
    place = ("123456789012", "eu-west-1")
    store.instances.discovered(*place, [instance(1)])
    assert store.instances.discovered(*place, []) == ["i-1"]
    store.instances.discovered(*place, [instance(1)])
    assert [one.instance for one in store.instances.known()] == [instance(1)]


@pytest.mark.slow
def test_an_overview_of_the_fleet_takes_no_longer_with_a_long_history(tmp_path: Path) -> None:
    place = ("123456789012", "eu-west-1")
    fleet = [instance(number) for number in range(20)]
    clock = Clock()
    steps: list[int] = []
    with Store(f"sqlite:///{tmp_path}/store.db", clock=clock) as store:
        store.migrate()
        store.instances.discovered(*place, fleet)

        def connected(connection: Any, *_: Any) -> None:
            connection.set_progress_handler(lambda: steps.append(1), 100)

        event.listen(store._database.engine, "checkout", connected)

        def looked() -> int:
            steps.clear()
            assert all(one.scanned_at for one in store.instances.with_history(*place, fleet))
            return len(steps)

        def day() -> None:
            for scan in store.scans.create([(*place, one.id) for one in fleet], "here"):
                held = store.scans.claim(scan.id, LIVE, 60)
                assert held is not None
                covered = Coverage(*place, scan.instance, "web", "ACTIVE", "SUCCESSFUL")
                store.instances.finish(reach(store, held, State.DELETING), State.DONE, covered)
            clock.advance(86400)

        day()
        first = looked()
        for _ in range(20):
            day()
        assert looked() < 2 * first


def test_what_was_discovered_has_the_history_that_is_known(store: Store, clock: Clock) -> None:
    place = ("123456789012", "eu-west-1")
    fleet = [instance(1), instance(2), instance(3)]
    store.instances.discovered(*place, fleet)
    first, _ = store.scans.create([(*place, "i-1"), (*place, "i-2")], "here")
    held = store.scans.claim(first.id, LIVE, 60)
    assert held is not None
    covered = Coverage(*place, "i-1", "web", "ACTIVE", "SUCCESSFUL", scanned_at=clock())
    store.instances.finish(reach(store, held, State.DELETING), State.DONE, covered)
    assert store.instances.with_history(*place, fleet) == store.instances.known()


@pytest.mark.slow
def test_a_store_needs_no_builder_of_advisory_databases() -> None:
    code = (
        "import sys, sidelight.store; print('sidelight.advisories.database.build' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
