"""Coverage by scan type, and its history."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from sidelight.model import AccountConfiguration, AccountStatus, Coverage, ScanType

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


def set_status(store: Store, status: AccountStatus) -> None:
    store.configurations.change(ACCOUNT, lambda _: AccountConfiguration(ACCOUNT, status=status))


@pytest.mark.parametrize(
    ("status", "written"),
    [
        (AccountStatus.ENABLED, {"SUCCESSFUL", "PENDING_DISABLE", "PENDING_INITIAL_SCAN"}),
        (AccountStatus.PENDING_DISABLE, {"PENDING_DISABLE"}),
        (AccountStatus.DISABLED, set()),
    ],
)
def test_work_that_began_before_an_account_was_disabled_covers_nothing_there(
    store: Store, status: AccountStatus, written: set[str]
) -> None:
    set_status(store, status)
    disabling = replace(GOOD, instance="i-2", status_code="INACTIVE", reason="PENDING_DISABLE")
    network = replace(GOOD, scan_type="NETWORK", scan_mode="", reason="PENDING_INITIAL_SCAN")
    elsewhere = replace(GOOD, account="999999999999")
    store.instances.cover([GOOD, disabling, elsewhere])
    store.instances.cover_networks([network], store.clock())
    rows = store.instances.coverage(None)
    assert {row.reason for row in rows if row.account == ACCOUNT} == written
    assert len(rows) == len(written) + 1, "another account's are written"


@pytest.mark.parametrize("decided", ["EC2_INSTANCE_STOPPED", "SUCCESSFUL"])
@pytest.mark.parametrize("is_newer", [True, False])
def test_a_network_state_that_was_found_after_the_evaluations_own_stays(
    store: Store, clock: Clock, decided: str, is_newer: bool
) -> None:
    states = {
        reason: replace(GOOD, scan_type="NETWORK", scan_mode="", status_code=code, reason=reason)
        for reason, code in (("EC2_INSTANCE_STOPPED", "INACTIVE"), ("SUCCESSFUL", "ACTIVE"))
    }
    other = next(row for reason, row in states.items() if reason != decided)
    described_at = store.clock()
    clock.advance(60)
    store.instances.cover([states[decided]])
    if not is_newer:
        clock.advance(60)
        described_at = store.clock()
    store.instances.cover_networks([other], described_at)
    (row,) = store.instances.coverage(None)
    assert row.reason == (decided if is_newer else other.reason)


def test_no_scan_begins_in_an_account_that_was_disabled_meanwhile(store: Store) -> None:
    due = [(ACCOUNT, REGION, "i-1"), ("999999999999", REGION, "i-2")]
    set_status(store, AccountStatus.PENDING_DISABLE)
    assert [scan.instance for scan in store.scans.create(due, "here")] == ["i-2"]
    assert store.scans.create(due[:1], "here") == []
    set_status(store, AccountStatus.ENABLED)
    assert [scan.instance for scan in store.scans.create(due, "here")] == ["i-1"]


def test_why_a_scan_waits_is_not_written_where_the_instance_is_not_scanned_any_more(
    store: Store,
) -> None:
    excluded = replace(GOOD, status_code="INACTIVE", reason="EXCLUDED_BY_TAG", detail="has the tag")
    failed = replace(GOOD, instance="i-2", status_code="INACTIVE", reason="INTERNAL_ERROR")
    store.instances.cover([excluded, failed])
    for name in ("i-1", "i-2"):
        store.instances.explain(ACCOUNT, name, "waits for a snapshot")
    details = {row.instance: row.detail for row in store.instances.coverage()}
    assert details == {"i-1": "has the tag", "i-2": "waits for a snapshot"}


def test_instances_of_an_account_that_was_denied_have_their_last_result_again(
    store: Store, clock: Clock
) -> None:
    partial = replace(GOOD, reason="PARTIAL", detail="no advisories", scanned_at=clock())
    never = replace(GOOD, instance="i-2", reason="PENDING_INITIAL_SCAN")
    excluded = replace(GOOD, instance="i-3", status_code="INACTIVE", reason="EXCLUDED_BY_TAG")
    before = [partial, never, excluded]
    store.instances.cover([replace(partial, reason="SUCCESSFUL"), *before])
    denied = replace(GOOD, status_code="INACTIVE", reason="ACCESS_DENIED", detail="denied")
    store.instances.cover([denied, replace(denied, instance="i-2")])
    store.instances.restore(ACCOUNT, ["i-1", "i-2", "i-3"])
    rows = {row.instance: row for row in store.instances.coverage()}
    assert replace(rows["i-1"], updated_at=None) == partial
    assert (rows["i-2"].reason, rows["i-3"].reason) == ("ACCESS_DENIED", "EXCLUDED_BY_TAG")
    assert [reason for _, _, reason in history(store, "i-1")][-1] == "PARTIAL"
