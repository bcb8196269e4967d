"""What is due, and in what order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from dispatcher.planning.eligibility import EXCLUSION_TAG, Configuration
from dispatcher.planning.plan import plan
from sidelight.model import Instance, Known, Volume

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
