"""What the counters count."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight.localcloud.counters import Counters, matches


def test_calls_bytes_and_errors_are_counted_by_operation_and_account() -> None:
    counters = Counters()
    for account, failed in (("1", False), ("1", True), ("2", False)):
        counters.leave(counters.enter("ebs:GetSnapshotBlock", account, 0.0), 10, failed=failed)
    assert counters.calls("GetSnapshotBlock") == 3
    (tally,) = counters.tallies("ebs:*", "1")
    assert (tally.calls, tally.bytes, tally.errors, tally.in_flight) == (2, 20, 1, 0)
    assert counters.calls("ListSnapshotBlocks") == 0


def test_the_most_calls_at_once_are_remembered() -> None:
    counters = Counters()
    first, second = counters.enter("ebs:A", "1", 0.0), counters.enter("ebs:B", "1", 0.0)
    counters.leave(first, 0, failed=False)
    counters.leave(second, 0, failed=False)
    counters.leave(counters.enter("ebs:A", "1", 0.0), 0, failed=False)
    assert counters.max_in_flight == 2
    assert [tally.max_in_flight for tally in counters.tallies()] == [1, 1]


def test_the_rate_is_the_most_in_any_window_of_a_second() -> None:
    counters = Counters()
    # Six within one second across the whole second's border, never more than four within either.
    for moment in (0.6, 0.7, 0.8, 1.1, 1.2, 1.5, 1.65):
        counters.leave(counters.enter("ebs:Get", "1", moment), 0, failed=False)
    assert counters.tallies()[0].per_second == 6
    assert counters.exceeded({"Get": 6}) == []
    assert [tally.operation for tally in counters.exceeded({"Get": 5})] == ["ebs:Get"]


@given(st.permutations([0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.4, 1.45, 2.5, 2.6, 3.45]))
def test_the_rate_does_not_depend_on_the_order_in_which_calls_are_reported(
    moments: list[float],
) -> None:
    counters = Counters()
    for moment in moments:
        counters.enter("ebs:Get", "1", moment)
    # From 0.5 to 1.45.
    assert counters.tallies()[0].per_second == 6


def test_a_reset_in_the_middle_of_a_call_leaves_sound_figures() -> None:
    counters = Counters()
    tally = counters.enter("ebs:Get", "1", 0.0)
    counters.reset()
    counters.leave(tally, 5, failed=False)
    assert counters.tallies() == []
    counters.leave(counters.enter("ebs:Get", "1", 0.0), 5, failed=False)
    assert counters.as_json()["max_in_flight"] == 1


@pytest.mark.parametrize(
    ("pattern", "operation", "expected"),
    [
        ("*", "ec2:DescribeSnapshots", True),
        ("DescribeSnapshots", "ec2:DescribeSnapshots", True),
        ("ec2:Describe*", "ec2:DescribeSnapshots", True),
        ("Describe", "ec2:DescribeSnapshots", False),
        ("ebs:*", "ec2:DescribeSnapshots", False),
    ],
)
def test_operations_are_named_with_or_without_their_service(
    pattern: str, operation: str, expected: bool
) -> None:
    assert matches(pattern, operation) is expected
