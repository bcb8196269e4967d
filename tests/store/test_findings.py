"""Findings are opened, kept, closed and opened again; what could not be read stays open."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from sidelight.errors import LeaseLostError, StoreError
from sidelight.model import Finding, Inventory, OperatingSystem, Package, Severity, Status
from sidelight.store import LIVE, Cost, FindingChanges, FindingStatus, Scan, State, Store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.store.conftest import Clock

PLACE = ("123456789012", "eu-west-1", "i-1")
DAY = 86400.0


def package(name: str, version: str = "1", path: str = "/var/lib/dpkg/status") -> Package:
    return Package("deb", name, version, path, f"pkg:deb/debian/{name}@{version}")


def finding(name: str, vulnerability: str = "CVE-2026-1", version: str = "1") -> Finding:
    return Finding(vulnerability, Severity.HIGH, package(name, version), "2", ("DSA-1",))


def inventory(*packages: Package, status: Status = Status.COMPLETE) -> Inventory:
    return Inventory(status, OperatingSystem("debian"), packages)


def settle(store: Store, found: Sequence[Finding], read: Inventory) -> FindingChanges:
    return store.findings.reevaluate(PLACE, read, found)


def active(store: Store) -> set[str]:
    return {row.finding.package.name for row in store.findings.rows()}


def in_state(store: Store, state: State) -> Scan:
    scan = store.scans.create([PLACE], "here")[0]
    held = store.scans.claim(scan.id, LIVE, 60)
    assert held is not None
    store.scans.advance(held, state)
    held = store.scans.claim(scan.id, LIVE, 60)
    assert held is not None
    return held


def test_findings_are_opened_kept_and_closed(store: Store) -> None:
    read = inventory(package("a"), package("b"))
    assert settle(store, [finding("a"), finding("b")], read) == FindingChanges(2, 0, 0)
    assert settle(store, [finding("a")], read) == FindingChanges(0, 1, 1)
    assert active(store) == {"a"}


def test_a_second_evaluation_changes_nothing(store: Store) -> None:
    read = inventory(package("a"))
    settle(store, [finding("a")], read)
    before = list(store.findings.rows(status=None))
    assert settle(store, [finding("a")], read) == FindingChanges(0, 1, 0)
    assert list(store.findings.rows(status=None)) == before


def test_the_same_finding_twice_is_one(store: Store) -> None:
    settle(store, [finding("a"), finding("a")], inventory(package("a")))
    assert len(list(store.findings.rows())) == 1


def test_what_recurs_within_a_week_is_the_same_finding(store: Store, clock: Clock) -> None:
    settle(store, [finding("a")], inventory(package("a")))
    first = clock()
    settle(store, [], inventory())
    clock.advance(6 * DAY)
    assert settle(store, [finding("a")], inventory(package("a"))) == FindingChanges(1, 0, 0)
    row = next(store.findings.rows())
    assert (row.first_observed, row.last_observed, row.closed_at) == (first, clock(), None)


def test_what_recurs_later_is_observed_anew(store: Store, clock: Clock) -> None:
    settle(store, [finding("a")], inventory(package("a")))
    settle(store, [], inventory())
    clock.advance(8 * DAY)
    settle(store, [finding("a")], inventory(package("a")))
    assert next(store.findings.rows()).first_observed == clock()


def test_a_machine_read_in_part_closes_only_what_was_read_again(store: Store) -> None:
    everything = [finding("mended"), finding("lost")]
    settle(store, everything, inventory(package("mended"), package("lost")))
    partial = inventory(package("mended", "2"), status=Status.PARTIAL)
    assert settle(store, [], partial) == FindingChanges(0, 0, 1)
    assert active(store) == {"lost"}


def test_a_machine_that_could_not_be_read_closes_nothing(store: Store) -> None:
    settle(store, [finding("a")], inventory(package("a")))
    settle(store, [], inventory(status=Status.FAILED))
    assert active(store) == {"a"}


def test_a_changed_severity_is_shown(store: Store) -> None:
    settle(store, [finding("a")], inventory(package("a")))
    settle(store, [replace(finding("a"), severity=Severity.CRITICAL)], inventory(package("a")))
    assert store.findings.severities() == {PLACE[::2]: {Severity.CRITICAL: 1}}


def test_names_that_are_not_utf8_and_hold_nul_are_kept(store: Store) -> None:
    odd = replace(finding("a"), package=package("a\0b", path="/var/\udcff" + "x" * 5000))
    settle(store, [odd], inventory(odd.package))
    assert next(store.findings.rows()).finding == odd
    assert settle(store, [odd], inventory(odd.package)) == FindingChanges(0, 1, 0)


def test_an_inventory_comes_back_as_it_was(store: Store) -> None:
    scan = in_state(store, State.READING)
    read = inventory(package("a", path="/\udcff"), package("b"), status=Status.PARTIAL)
    store.findings.save_inventory(scan, read, Cost(scan.id, get_calls=3, usd=0.5))
    assert store.findings.inventory(PLACE[0], PLACE[2]) == read
    assert store.scans.get(scan.id).state is State.EVALUATING
    assert store.costs.of([scan.id])[scan.id].get_calls == 3


def test_an_inventory_of_a_worker_that_is_late_is_not_saved(store: Store, clock: Clock) -> None:
    scan = in_state(store, State.READING)
    clock.advance(61)
    other = store.scans.claim(scan.id, LIVE, 60)
    assert other is not None
    with pytest.raises(LeaseLostError):
        store.findings.save_inventory(scan, inventory(), Cost(scan.id, get_calls=1))
    with pytest.raises(StoreError, match="no inventory"):
        store.findings.inventory(PLACE[0], PLACE[2])
    assert not store.costs.of([scan.id])


def test_findings_of_a_worker_that_is_late_are_not_saved(store: Store, clock: Clock) -> None:
    scan = in_state(store, State.EVALUATING)
    clock.advance(61)
    assert store.scans.claim(scan.id, LIVE, 60) is not None
    with pytest.raises(LeaseLostError):
        store.findings.save_findings(scan, inventory(), [finding("a")])
    assert not list(store.findings.rows(status=None))


def test_an_instance_that_is_gone_closes_its_findings(store: Store) -> None:
    settle(store, [finding("a")], inventory(package("a")))
    assert store.findings.close_instance(PLACE[0], PLACE[2]) == 1
    assert [row.status for row in store.findings.rows(status=None)] == [FindingStatus.CLOSED]


def test_costs_add_up_over_attempts_and_accounts(store: Store) -> None:
    scan = in_state(store, State.READING)
    for _ in range(2):
        store.costs.add(Cost(scan.id, get_calls=2, bytes=1 << 40, seconds=0.5, usd=0.25))
    assert [one.bytes for one in store.costs.sums(["account"])] == [2 << 40]
    assert store.costs.of([scan.id])[scan.id].usd == 0.5
