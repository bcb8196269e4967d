"""Packages are found by name on every instance that has them, with findings or without."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select, update

from sidelight.model import Cost, State
from sidelight.store.base.engine import Database
from sidelight.store.base.schema import (
    installed_names,
    installed_versions,
    package_sets,
    set_versions,
)
from tests.fixtures.scan_states import advance
from tests.fixtures.stored_findings import (
    ACCOUNT,
    REGION,
    claimed,
    inspected,
    inventory,
    package,
)

if TYPE_CHECKING:
    from sidelight.model import Package
    from sidelight.store import Store
    from tests.fakes.clocks import Clock

OTHER = "222222222222"
HOSTILE = ("<script>\u202e", "a\0b", "\udcff", "x" * 10_000, "100%_\\")


def read(store: Store, instance: str, *packages: Package, account: str = ACCOUNT) -> None:
    """A scan whose inventory is stored."""
    if account == ACCOUNT:
        advance(store, inspected(store, inventory(*packages), instance), State.DONE)
        return
    scan = store.scans.create([(account, REGION, instance)], "here")[0]
    advance(store, claimed(store, scan.id), State.READING)
    held = claimed(store, scan.id)
    store.findings.save_inventory(held, inventory(*packages), Cost(scan.id))


def names(store: Store, text: str, accounts: list[str] | None = None) -> list[tuple[str, int]]:
    found = store.installed_packages.search(text, accounts)
    return [(item.name, item.instances) for item in found]


def test_equal_names_come_before_beginnings_and_parts(store: Store) -> None:
    read(store, "i-1", package("liblog4j2-java"), package("log4j"), package("log4j-core"))
    read(store, "i-2", package("log4j"), package("zlib"))
    assert names(store, "LOG4J") == [("log4j", 2), ("log4j-core", 1), ("liblog4j2-java", 1)]
    assert names(store, "4j-c") == [("log4j-core", 1)]
    assert names(store, "nothing") == []
    assert names(store, "  ") == []


def test_versions_and_instances_are_those_of_the_scope(store: Store) -> None:
    read(store, "i-1", package("log4j", "1"))
    read(store, "i-2", package("log4j", "2"))
    read(store, "i-3", package("log4j", "2"), account=OTHER)
    found = store.installed_packages.search("log4j", None)[0]
    versions = store.installed_packages.versions(found.id, None)
    assert [(item.version, item.instances) for item in versions] == [("2", 2), ("1", 1)]
    assert names(store, "log4j", [OTHER]) == [("log4j", 1)]
    assert [v.version for v in store.installed_packages.versions(found.id, [OTHER])] == ["2"]
    page = store.installed_packages.installations(found.id, [ACCOUNT])
    assert [(row.instance, row.version) for row in page.rows] == [("i-1", "1"), ("i-2", "2")]
    assert names(store, "log4j", ["333333333333"]) == []
    assert store.installed_packages.name(found.id, ["333333333333"]) is None


def test_pages_continue_after_the_last_installation(store: Store) -> None:
    for number in range(5):
        read(store, f"i-{number}", package("log4j", "1"), package("log4j", "2", "/opt/x"))
    found = store.installed_packages.search("log4j", None)[0]
    seen: list[tuple[str, str]] = []
    after = None
    while True:
        page = store.installed_packages.installations(found.id, None, after=after, limit=3)
        seen += [(row.instance, row.version) for row in page.rows]
        after = page.position
        if after is None:
            break
    assert sorted(seen) == [
        (f"i-{number}", version) for number in range(5) for version in ("1", "2")
    ]
    assert found.instances == 5, "an instance with two versions counts once"
    one = store.installed_packages.versions(found.id, None)[0]
    only = store.installed_packages.installations(found.id, None, version=one.id)
    assert {row.version for row in only.rows} == {one.version}


@pytest.mark.parametrize("name", HOSTILE)
def test_any_name_is_stored_and_found(store: Store, name: str) -> None:
    read(store, "i-1", package(name), package("plain"))
    found = store.installed_packages.search(name, None)
    assert len(found) == 1
    assert names(store, "plain") == [("plain", 1)]


def test_an_inventory_that_changes_moves_its_instance(store: Store) -> None:
    read(store, "i-1", package("log4j", "1"))
    read(store, "i-1", package("zlib"))
    assert names(store, "log4j") == []
    assert names(store, "zlib") == [("zlib", 1)]


def test_sets_from_before_the_index_are_added_in_parts(store: Store) -> None:
    for number in range(3):
        read(store, f"i-{number}", package(f"tool-{number}"))
    database = Database(store.where)
    with database.write() as connection:
        for table in (set_versions, installed_versions, installed_names):
            connection.execute(table.delete())
        connection.execute(update(package_sets).values(indexed=False))
        broken = select(func.max(package_sets.c.id)).scalar_subquery()
        damage = update(package_sets).where(package_sets.c.id == broken)
        connection.execute(damage.values(document=b"damaged"))
    database.close()
    assert store.installed_packages.unindexed() == 3
    assert [store.installed_packages.index(2) for _ in range(3)] == [2, 1, 0]
    assert store.installed_packages.unindexed() == 0
    assert names(store, "tool") == [("tool-0", 1), ("tool-1", 1)]


def test_deleted_sets_leave_no_names(store: Store, clock: Clock) -> None:
    read(store, "i-1", package("gone"), package("kept"))
    read(store, "i-1", package("kept"))
    clock.advance(8 * 86_400)
    store.retention.run()
    database = Database(store.where)
    with database.read() as connection:
        left = list(connection.execute(select(installed_names.c.name)).scalars())
    database.close()
    assert left == ["kept"]
