"""Inventories that agents sent: stored and evaluated as those of scans, and known the next time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from sidelight.errors import StoreError
from sidelight.fleet import evaluation
from sidelight.model import (
    Coverage,
    FindingChanges,
    Instance,
    InstanceRef,
    SeenInventory,
    Status,
)
from tests.fixtures.stored_findings import (
    ACCOUNT,
    REGION,
    inventory,
    kinds,
    open_names,
    package,
    says,
    scanned,
)

if TYPE_CHECKING:
    from sidelight.model import Inventory
    from sidelight.store import Store
    from tests.fakes.clocks import Clock
    from tests.fixtures.stored_findings import Database

HERE = InstanceRef(ACCOUNT, REGION, "i-1")
HALF_AN_HOUR = 1800.0
DAY = 86400.0


def sent(store: Store, database: Database, read: Inventory, digest: str = "a") -> FindingChanges:
    """An inventory that an agent sent, evaluated."""
    store.reevaluation.notice(database)
    store.findings.save_agent_inventory(HERE, read, SeenInventory("1", digest, store.clock()))
    return evaluation.evaluate_agent_inventory(store, HERE, database)


def test_findings_are_opened_kept_and_closed(store: Store) -> None:
    assert sent(store, says("a", "b"), inventory(package("a"), package("b"))) == FindingChanges(
        2, 0, 0
    )
    fixed = inventory(package("a"), package("b", "9"))
    assert sent(store, says("a", "b"), fixed) == FindingChanges(0, 1, 1)
    assert open_names(store) == {"a"}


def test_a_partial_inventory_closes_nothing_that_it_does_not_show(store: Store) -> None:
    sent(store, says("a", "b"), inventory(package("a"), package("b")))

    changes = sent(store, says("a", "b"), inventory(package("a"), status=Status.PARTIAL))

    assert changes.closed == 0


def test_a_finding_stays_the_same_where_an_instance_changes_its_method(store: Store) -> None:
    read = inventory(package("a"))
    scanned(store, says("a"), read)
    (by_snapshot,) = store.findings.rows(status=None)

    changes = sent(store, says("a"), replace(read, filesystems=()))

    (by_agent,) = store.findings.rows(status=None)
    assert changes == FindingChanges(0, 1, 0)
    assert by_agent.id == by_snapshot.id
    assert [kind for kind, _instance, _name in kinds(store)] == ["OPENED"]


def test_what_was_seen_is_known_until_a_snapshot_is_read(store: Store) -> None:
    at = store.clock()
    sent(store, says("a"), inventory(package("a")), digest="d")
    assert store.agent_inventories.seen(ACCOUNT, REGION) == {"i-1": SeenInventory("1", "d", at)}
    assert store.agent_inventories.seen(ACCOUNT, "us-east-1") == {}

    scanned(store, says("a"), inventory(package("a")))

    assert store.agent_inventories.seen(ACCOUNT, REGION) == {}


def test_the_same_content_again_moves_only_its_version_and_time(store: Store, clock: Clock) -> None:
    sent(store, says("a"), inventory(package("a")))
    clock.advance(HALF_AN_HOUR)
    later = SeenInventory("2", "a", store.clock())

    store.agent_inventories.note(HERE, later)

    assert store.agent_inventories.seen(ACCOUNT, REGION) == {"i-1": later}
    assert open_names(store) == {"a"}


def test_what_was_not_seen_for_a_month_is_deleted(store: Store, clock: Clock) -> None:
    sent(store, says("a"), inventory(package("a")))
    clock.advance(29 * DAY)
    assert store.retention.run().agent_inventories == 0

    clock.advance(DAY)

    assert store.retention.run().agent_inventories == 1
    assert store.agent_inventories.seen(ACCOUNT, REGION) == {}
    assert open_names(store) == {"a"}


def test_packages_of_disks_are_those_of_one_release_that_scans_read(store: Store) -> None:
    scanned(store, says(), inventory(package("read")), "i-2")
    sent(store, says(), inventory(package("sent")))

    found = store.agent_inventories.packages_of_disks("debian", "12")

    assert [item.name for item in found] == ["read"]
    assert store.agent_inventories.packages_of_disks("debian", "13") == []


def test_an_instance_without_an_inventory_cannot_be_evaluated(store: Store) -> None:
    with pytest.raises(StoreError, match="no inventory"):
        evaluation.evaluate_agent_inventory(store, HERE, says("a"))


@pytest.mark.parametrize(
    ("reason", "left"), [("EXCLUDED_BY_TAG", set()), ("EC2_INSTANCE_STOPPED", {"a"})]
)
def test_an_inventory_that_is_evaluated_after_an_exclusion_opens_no_findings(
    store: Store, reason: str, left: set[str]
) -> None:
    """The agents' round began before a discovery decided otherwise."""
    store.instances.looked_at(ACCOUNT, [Instance("i-1", ACCOUNT, REGION, "running", ())], [])
    store.instances.cover([Coverage(ACCOUNT, REGION, "i-1", "", "INACTIVE", reason)])
    store.findings.close_instances(ACCOUNT, ["i-1"] if reason == "EXCLUDED_BY_TAG" else [])
    sent(store, says("a"), inventory(package("a")))
    assert open_names(store) == left
    assert store.reevaluation.regions(pending=False) == ({REGION: 1} if left else {})


def test_instances_lack_a_systems_finding_until_they_are_evaluated_after_its_last_day(
    store: Store, clock: Clock
) -> None:
    database, name = says(), "END-OF-LIFE-debian"
    database.last_day = clock().date()
    sent(store, database, inventory(package("a")))
    scanned(store, database, inventory(package("a")), "i-2")  # its scans come each day
    assert store.agent_inventories.lacking(ACCOUNT, REGION, name) == {HERE.instance}

    clock.advance(DAY)
    evaluation.evaluate_agent_inventory(store, HERE, database)

    assert store.agent_inventories.lacking(ACCOUNT, REGION, name) == set()
    assert store.agent_inventories.lacking(ACCOUNT, "us-west-2", name) == set()
    assert store.agent_inventories.lacking(ACCOUNT, REGION, "another") == {HERE.instance}
