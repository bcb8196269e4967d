"""Coverage of machines whose packages a new advisory database covers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from sidelight.model import Coverage, Inventory, Package, Problem, Status
from tests.fixtures.stored_findings import (
    ACCOUNT,
    REGION,
    Database,
    inventory,
    package,
    reevaluated,
    says,
    scanned,
)

if TYPE_CHECKING:
    from sidelight.matching import Unmatched
    from sidelight.store import Store


def coverage_of(status: str, detail: str = "", instance: str = "i-1") -> Coverage:
    return Coverage(ACCOUNT, REGION, instance, "", status, "PARTIAL", detail)


def reasons(store: Store) -> dict[str, tuple[str, str]]:
    return {row.instance: (row.reason, row.detail) for row in store.instances.coverage()}


def covering(*ecosystems: str) -> Database:
    database = says("a")
    database.ecosystems = frozenset(ecosystems)
    return database


BOTH = inventory(package("a"), Package("npm", "b", "1", "/opt/b", "pkg:npm/b@1"))
NPM_MISSING = (
    "PARTIAL",
    (
        "partial: 1 problem, the first: 1 package of npm: the database has no advisories for it"
        " (advisories)"
    ),
)


def test_a_database_that_covers_the_rest_makes_machines_complete(store: Store) -> None:
    scanned(store, covering("Debian:12"), BOTH, "i-1")
    scanned(store, covering("Debian:12"), inventory(package("a")), "i-2")
    store.instances.cover([coverage_of("ACTIVE", NPM_MISSING[1])])
    before = store.outbox.last()
    reevaluated(store, covering("Debian:12", "npm"))
    assert reasons(store) == {"i-1": ("SUCCESSFUL", "")}
    # And back, without a feed that was there.
    reevaluated(store, covering("Debian:12"))
    assert reasons(store) == {"i-1": NPM_MISSING}
    assert store.outbox.last() == before  # findings are as they were


def test_what_could_not_be_read_stays_partial(store: Store) -> None:
    problem = Problem("/x", "is damaged")
    unread = replace(BOTH, status=Status.PARTIAL, problems=(problem,))
    scanned(store, covering("Debian:12"), unread)
    store.instances.cover([coverage_of("ACTIVE")])
    reevaluated(store, covering("Debian:12", "npm"))
    expected = "PARTIAL", "partial: 1 problem, the first: is damaged (/x)"
    assert reasons(store) == {"i-1": expected}


@pytest.mark.parametrize(
    ("status", "reason"), [("INACTIVE", "ACCESS_DENIED"), ("ACTIVE", "PENDING_INITIAL_SCAN")]
)
def test_coverage_that_is_no_scans_word_is_left_alone(
    store: Store, status: str, reason: str
) -> None:
    scanned(store, covering("Debian:12"), BOTH)
    store.instances.cover([replace(coverage_of(status, "why"), reason=reason)])
    reevaluated(store, covering("Debian:12", "npm"))
    assert reasons(store) == {"i-1": (reason, "why")}


def test_inventories_are_loaded_only_where_other_ecosystems_are_covered(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        scanned(store, covering("Debian:12"), BOTH, f"i-{number}")
    inventories: list[Inventory] = []

    def unmatched(machine: Inventory) -> tuple[Unmatched, ...]:
        inventories.append(machine)
        return ()

    newer = says("a", "c")
    monkeypatch.setattr(newer, "unmatched", unmatched)
    reevaluated(store, newer)
    assert inventories == []
    other = covering("Debian:12", "npm")
    monkeypatch.setattr(other, "unmatched", unmatched)
    reevaluated(store, other)
    assert inventories == [BOTH]  # once for all that have the same packages
