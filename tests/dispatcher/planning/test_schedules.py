"""Schedules: fixed times that do not drift."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from dispatcher.planning.schedules import Schedule, schedule_of

START = datetime(2026, 1, 1, tzinfo=UTC)
HALF_AN_HOUR = timedelta(minutes=30)


@given(
    st.integers(0, 1799).map(lambda seconds: timedelta(seconds=seconds)),
    st.lists(st.integers(1, 1700), min_size=48, max_size=48),
)
def test_work_of_any_length_begins_once_in_each_interval(
    offset: timedelta, lengths: list[int]
) -> None:
    schedule = Schedule(HALF_AN_HOUR, offset)
    now, begun, begins = START, START - HALF_AN_HOUR, []
    end = START + 24 * HALF_AN_HOUR
    free = START
    while now < end:
        if now >= free and schedule.is_due(begun, now):
            begun = now
            begins.append(now)
            free = now + timedelta(seconds=lengths[len(begins) % 48])
        now += timedelta(seconds=60)
    times = [schedule.latest(begin) for begin in begins]
    assert all(later - earlier == HALF_AN_HOUR for earlier, later in pairwise(times))
    assert len(times) in {24, 25}


def test_work_that_no_dispatcher_did_for_a_day_is_due_once() -> None:
    schedule = Schedule(HALF_AN_HOUR)
    now = START + timedelta(days=1)
    assert schedule.is_due(START, now)
    assert not schedule.is_due(now, now + timedelta(seconds=1))


def test_work_that_never_began_is_due() -> None:
    assert Schedule(HALF_AN_HOUR).is_due(None, START)


def test_deployments_have_times_of_their_own_and_a_restart_keeps_them() -> None:
    first = schedule_of("sidelight-a", "agents", HALF_AN_HOUR)
    assert first == schedule_of("sidelight-a", "agents", HALF_AN_HOUR)
    assert first.offset != schedule_of("sidelight-b", "agents", HALF_AN_HOUR).offset
    assert first.latest(START) <= START < first.latest(START) + HALF_AN_HOUR
