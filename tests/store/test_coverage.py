"""Coverage by scan type, and its history."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sidelight.model import Coverage, ScanType

if TYPE_CHECKING:
    from sidelight.store import Store
    from tests.fakes.clocks import Clock

ACCOUNT, REGION = "123456789012", "eu-west-1"
GOOD = Coverage(ACCOUNT, REGION, "i-1", "web", "ACTIVE", "SUCCESSFUL")


def history(store: Store, *instances: str) -> list[tuple[str, str, str]]:
    changes = store.coverage_history.of([(ACCOUNT, name) for name in instances])
    return [(row.instance, row.scan_type, row.reason) for row in changes]


def test_an_instance_has_an_entry_for_each_scan_type(store: Store) -> None:
    network = replace(GOOD, scan_type="NETWORK", scan_mode="", reason="PENDING_INITIAL_SCAN")
    store.instances.cover([GOOD, network])
    assert [row.reason for row in store.instances.coverage()] == ["SUCCESSFUL"]
    assert [row.reason for row in store.instances.coverage(ScanType.NETWORK)] == [
        "PENDING_INITIAL_SCAN"
    ]
    assert [row.scan_type for row in store.instances.coverage(None)] == ["NETWORK", "PACKAGE"]
    assert [row.count for row in store.totals.coverage()] == [1], "an instance counts once"


def test_each_change_of_status_reason_or_mode_is_kept_and_nothing_else(
    store: Store, clock: Clock
) -> None:
    first = clock()
    store.instances.cover([GOOD])
    clock.advance(60)
    store.instances.cover([replace(GOOD, detail="another", scanned_at=clock())])
    assert history(store, "i-1") == [("i-1", "PACKAGE", "SUCCESSFUL")]
    clock.advance(60)
    stopped = replace(GOOD, status_code="INACTIVE", reason="EC2_INSTANCE_STOPPED")
    store.instances.cover([stopped, replace(GOOD, instance="i-2")])
    clock.advance(60)
    store.instances.cover([replace(GOOD, scan_mode="EC2_SSM_AGENT_BASED")])
    changes = store.coverage_history.of([(ACCOUNT, "i-1"), ("999999999999", "i-2")])
    assert [(row.reason, row.scan_mode) for row in changes] == [
        ("SUCCESSFUL", "EC2_AGENTLESS"),
        ("EC2_INSTANCE_STOPPED", "EC2_AGENTLESS"),
        ("SUCCESSFUL", "EC2_SSM_AGENT_BASED"),
    ]
    assert changes[0].at == first


def test_two_rows_of_one_instance_in_one_call_are_two_changes(store: Store) -> None:
    store.instances.cover([GOOD, replace(GOOD, reason="PARTIAL"), replace(GOOD, reason="PARTIAL")])
    assert history(store, "i-1") == [
        ("i-1", "PACKAGE", "SUCCESSFUL"),
        ("i-1", "PACKAGE", "PARTIAL"),
    ]


def test_the_history_ends_after_ninety_days(store: Store, clock: Clock) -> None:
    store.instances.cover([GOOD])
    clock.advance(89 * 86_400)
    store.instances.cover([replace(GOOD, reason="PARTIAL")])
    assert store.retention.run().coverage_changes == 0
    clock.advance(86_400)
    assert store.retention.run().coverage_changes == 1
    assert history(store, "i-1") == [("i-1", "PACKAGE", "PARTIAL")]
    assert store.instances.coverage()[0].reason == "PARTIAL", "the present state stays"
