"""Waits double, stay below their cap, and keep their fixed part."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sidelight.backoff import delay, doubled

parts = st.floats(0, 1)


@given(st.floats(0.01, 10), st.integers(0, 200), st.floats(0.01, 1000), parts, parts)
def test_a_wait_is_between_its_fixed_part_and_the_doubled_time(
    first: float, attempt: int, longest: float, fixed: float, jitter: float
) -> None:
    most = doubled(first, attempt, longest)
    assert most <= longest
    wait = delay(first, attempt, longest, fixed=fixed, jitter=lambda: jitter)
    assert most * fixed <= wait * (1 + 1e-9)
    assert wait <= most * (1 + 1e-9)


def test_each_attempt_waits_twice_as_long_up_to_the_cap() -> None:
    assert [doubled(0.5, attempt, 3.0) for attempt in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]
