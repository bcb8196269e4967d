"""Dependencies of packages: stored once for machines of one image, unknown in older sets."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import given
from sqlalchemy import select, text

from sidelight.model import InstanceRef, SeenInventory
from sidelight.store.base import documents
from sidelight.store.base.schema import package_sets
from sidelight.store.inventories.package_sets import PackageSet
from tests.fixtures.boms import dependencies_of
from tests.fixtures.stored_findings import (
    ACCOUNT,
    DEBIAN,
    REGION,
    inventory,
    package,
    says,
    scanned,
)

if TYPE_CHECKING:
    from sidelight.model import Inventory
    from sidelight.store import Store

HERE = InstanceRef(ACCOUNT, REGION, "i-9")
KNOWN = ((1,), (), None)


def related() -> Inventory:
    return replace(inventory(*map(package, "abc")), dependencies=KNOWN)


def sets(store: Store) -> int:
    with store._database.read() as connection:
        return int(connection.execute(text("SELECT count(*) FROM package_sets")).scalar_one())


def test_machines_of_one_image_share_their_packages_with_dependencies(store: Store) -> None:
    for number in range(3):
        scanned(store, says("a"), related(), f"i-{number}")
        assert store.findings.inventory(ACCOUNT, f"i-{number}") == related()
        taken = store.taken_inventories.get(ACCOUNT, f"i-{number}")
        assert taken is not None
        assert taken.inventory == related()
    assert sets(store) == 1


def test_an_inventory_of_each_instance_holds_none_of_them(store: Store) -> None:
    scanned(store, says("a"), related())
    with store._database.read() as connection:
        own = connection.execute(text("SELECT document FROM inventories")).scalar_one()
    assert documents.unpack(dict, bytes(own))["dependencies"] == []


def test_other_dependencies_are_another_set(store: Store) -> None:
    scanned(store, says("a"), related())
    scanned(store, says("a"), replace(related(), dependencies=((), (), None)), "i-2")
    assert sets(store) == 2
    assert store.findings.inventory(ACCOUNT, "i-1").dependencies == KNOWN


def test_a_set_from_before_dependencies_were_kept_is_read_and_used_again(store: Store) -> None:
    read = inventory(*map(package, "abc"))
    scanned(store, says("a"), read)
    with store._database.read() as connection:
        row = connection.execute(select(package_sets)).one()
    before = documents.dump({"os": DEBIAN, "packages": read.packages})
    assert row.digest == hashlib.sha256(before.encode()).hexdigest()
    assert documents.unpack(PackageSet, row.document).dependencies == ()
    scanned(store, says("a"), read, "i-2")
    assert sets(store) == 1


def test_the_inventory_of_an_agent_has_unknown_dependencies(store: Store) -> None:
    store.reevaluation.notice(says("a"))
    read = inventory(package("a"))
    store.findings.save_agent_inventory(HERE, read, SeenInventory("1", "a", store.clock()))
    assert store.findings.inventory(ACCOUNT, "i-9").dependencies == ()


@given(dependencies_of(7))
def test_every_list_comes_back_as_it_was(found: tuple[tuple[int, ...] | None, ...]) -> None:
    kept = PackageSet(DEBIAN, tuple(map(package, "abcdefg")), found)
    assert documents.unpack(PackageSet, documents.pack(kept)) == kept


def test_a_rescan_replaces_them(store: Store) -> None:
    scanned(store, says("a"), related())
    scanned(store, says("a"), replace(related(), dependencies=((), (0,), (0, 1))))
    assert store.findings.inventory(ACCOUNT, "i-1").dependencies == ((), (0,), (0, 1))
