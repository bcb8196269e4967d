"""What is due, and in what order."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from dispatcher.planning.eligibility import EXCLUSION_TAG, Configuration
from dispatcher.planning.plan import Plan, plan
from sidelight.model import Instance, Known, ManagedInstance, PingStatus, PlatformType, Volume

NOW = datetime(2026, 1, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)


def known(
    name: str,
    *,
    scanned: timedelta | None = None,
    tried: timedelta | None = None,
    live: str = "",
    excluded: bool = False,
) -> Known:
    tags = ((EXCLUSION_TAG, ""),) if excluded else ()
    instance = Instance(name, "1", "r", "running", (Volume("v", "/dev/sda", 8),), tags)
    tried = tried if tried is not None else scanned
    return Known(
        instance,
        NOW,
        scanned_at=None if scanned is None else NOW - scanned,
        tried_at=None if tried is None else NOW - tried,
        live_scan=live,
        covered=None if tried is None else ("ACTIVE", "SUCCESSFUL", "EC2_AGENTLESS"),
    )


def due(*fleet: Known, on_demand: bool = False) -> list[str]:
    planned = plan(fleet, NOW, Configuration(), on_demand=on_demand)
    return [instance.id for instance in planned.due]


def test_what_was_never_scanned_is_due_first_then_the_longest_unscanned() -> None:
    fleet = [known("a", scanned=25 * HOUR), known("b", scanned=30 * HOUR), known("c")]
    assert due(*fleet) == ["c", "b", "a"]


def test_what_was_scanned_within_a_day_is_due_on_demand_only() -> None:
    recent = known("a", scanned=23 * HOUR)
    assert due(recent) == []
    assert due(recent, on_demand=True) == ["a"]


def test_a_live_scan_is_not_doubled_even_on_demand() -> None:
    running = known("a", tried=50 * HOUR, live="s1")
    assert due(running) == due(running, on_demand=True) == []


def test_a_failed_scan_is_tried_again_after_an_hour() -> None:
    assert due(known("a", tried=HOUR / 2)) == []
    assert due(known("a", tried=HOUR)) == ["a"]
    assert due(known("a", scanned=40 * HOUR, tried=2 * HOUR)) == ["a"]


def test_the_excluded_are_covered_as_such_and_the_new_as_pending() -> None:
    planned = plan([known("a", excluded=True), known("b"), known("c", scanned=HOUR)], NOW,
                   Configuration(), on_demand=True)  # fmt: skip
    assert [i.id for i in planned.due] == ["b", "c"]
    assert [(row.instance, row.status_code, row.reason) for row in planned.coverage] == [
        ("a", "INACTIVE", "EXCLUDED_BY_TAG"),
        ("b", "ACTIVE", "PENDING_INITIAL_SCAN"),
    ]


AGENT = ManagedInstance("a", PingStatus.ONLINE, NOW, PlatformType.LINUX, inventory_at=NOW)
BY_SNAPSHOT, BY_AGENT = "EC2_AGENTLESS", "EC2_SSM_AGENT_BASED"


def covered(history: Known, status: str, reason: str, scan_mode: str = BY_SNAPSHOT) -> Known:
    return replace(history, covered=(status, reason, scan_mode))


def states(planned: Plan) -> list[tuple[str, str, str]]:
    return [(row.status_code, row.reason, row.scan_mode) for row in planned.coverage]


def test_an_instance_that_leaves_systems_manager_is_due_at_once_and_back_it_is_the_agent_s() -> (
    None
):
    recent = known("a", scanned=HOUR)
    by_agent = covered(recent, "ACTIVE", "SUCCESSFUL", BY_AGENT)
    left = plan([by_agent], NOW, Configuration(), managed={})
    assert [item.id for item in left.due] == ["a"]
    assert states(left) == [("ACTIVE", "PENDING_INITIAL_SCAN", BY_SNAPSHOT)]
    by_snapshot = covered(recent, "ACTIVE", "SUCCESSFUL")
    again = plan([by_snapshot], NOW, Configuration(), managed={})
    assert (again.due, again.coverage) == ((), ()), "the result of its scan stays"
    back = plan([by_snapshot], NOW, Configuration(), managed={"a": AGENT})
    assert (back.due, states(back)) == ((), [("ACTIVE", "PENDING_INITIAL_SCAN", BY_AGENT)])
    assert plan([by_agent], NOW, Configuration(), managed={"a": AGENT}).coverage == ()


def test_an_instance_that_is_no_longer_excluded_is_due_at_once() -> None:
    for reason in ("EXCLUDED_BY_TAG", "EC2_INSTANCE_STOPPED"):
        planned = plan([covered(known("a", scanned=HOUR), "INACTIVE", reason)], NOW,
                       Configuration())  # fmt: skip
        assert len(planned.due) == 1
        assert states(planned) == [("ACTIVE", "PENDING_INITIAL_SCAN", BY_SNAPSHOT)]


def test_the_failure_of_a_scan_stays_in_coverage_until_the_next_one() -> None:
    for reason in ("INTERNAL_ERROR", "ACCESS_DENIED_TO_ENCRYPTION_KEY"):
        planned = plan([covered(known("a", tried=HOUR / 2), "INACTIVE", reason)], NOW,
                       Configuration())  # fmt: skip
        assert (planned.due, planned.coverage) == ((), ())


def test_a_machine_without_a_readable_filesystem_is_read_again_a_day_later_not_each_hour() -> None:
    for tried, count in ((2 * HOUR, 0), (24 * HOUR, 1)):
        history = covered(known("a", tried=tried), "INACTIVE", "UNSUPPORTED_OS")
        planned = plan([history], NOW, Configuration())
        assert (len(planned.due), planned.coverage) == (count, ())


def test_without_an_answer_of_systems_manager_all_are_read_by_snapshot() -> None:
    planned = plan([known("a")], NOW, Configuration(), managed=None)
    assert [item.id for item in planned.due] == ["a"]


@pytest.mark.parametrize(
    ("reason", "written"),
    [
        ("EC2_INSTANCE_STOPPED", True),
        ("UNMANAGED_EC2_INSTANCE", True),
        ("EXCLUDED_BY_TAG", False),  # its findings were closed: it is scanned once more
        ("INTERNAL_ERROR", False),  # the scan's own end says how that went
    ],
)
def test_an_instance_that_is_eligible_again_while_its_scan_runs_gets_that_scans_result(
    reason: str, *, written: bool
) -> None:
    running = replace(
        known("a", tried=HOUR, live="s1"), covered=("INACTIVE", reason, "EC2_AGENTLESS")
    )
    planned = plan([running], NOW, Configuration())
    assert planned.due == ()
    assert [row.reason for row in planned.coverage] == ["PENDING_INITIAL_SCAN"] * written


def test_an_instance_that_left_its_agent_while_a_scan_runs_gets_that_scans_result() -> None:
    running = replace(known("a", tried=HOUR, live="s1"), covered=("ACTIVE", "SUCCESSFUL", BY_AGENT))
    planned = plan([running], NOW, Configuration())
    assert planned.due == ()
    assert [(row.status_code, row.scan_mode) for row in planned.coverage] == [
        ("ACTIVE", BY_SNAPSHOT)
    ]


@pytest.mark.parametrize(
    ("reason", "failed", "restored"),
    [
        ("ACCESS_DENIED", False, True),
        ("REGION_NOT_ENABLED", False, True),
        ("ACCESS_DENIED", True, False),  # its own scan was denied, and is repeated
        ("INTERNAL_ERROR", False, False),
    ],
)
def test_the_last_scan_counts_again_after_its_account_was_denied(
    reason: str, *, failed: bool, restored: bool
) -> None:
    denied = replace(
        known("a", scanned=2 * HOUR, tried=HOUR / 2 if failed else 2 * HOUR),
        covered=("INACTIVE", reason, BY_SNAPSHOT),
    )
    planned = plan([denied], NOW, Configuration())
    assert (planned.due, planned.coverage) == ((), ())
    assert planned.restored == (("a",) if restored else ())
