"""Once in 24 hours, each instance at a time of its own: laws over simulated weeks."""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.planning import cadence
from dispatcher.planning.cadence import CATCH_UP, DAY, WINDOW, Timetable, time_of_day
from dispatcher.planning.eligibility import Configuration
from dispatcher.planning.plan import plan
from sidelight.model import Instance, Known, Volume
from tests.fixtures.hypothesis_profiles import many

if TYPE_CHECKING:
    from collections.abc import Iterable

START = datetime(2026, 3, 1, 7, 13, tzinfo=UTC)
TICK = timedelta(seconds=60)
ROUND = timedelta(hours=1)


def machine(number: int) -> Instance:
    volumes = (Volume("v", "/dev/sda", 8),)
    return Instance(f"i-{number:017x}", "123456789012", "r", "running", volumes)


def some_machines(count: int) -> list[Instance]:
    return [machine(number) for number in range(count)]


@functools.cache
def evenly_spread(count: int) -> tuple[Instance, ...]:
    """One machine in each of so many equal parts of the day: no chance in how many an hour has."""
    found: dict[int, Instance] = {}
    for number in itertools.count():
        if len(found) == count:
            return tuple(found.values())
        instance = machine(number)
        found.setdefault(int(time_of_day(instance.account, instance.id) / (DAY / count)), instance)
    raise AssertionError("not reached")


class Fleet:
    """A dispatcher by a clock of its own: scans are done a while after they begin."""

    def __init__(
        self, machines: Iterable[Instance], takes: timedelta = timedelta(minutes=7)
    ) -> None:
        covered = ("ACTIVE", "SUCCESSFUL", "EC2_AGENTLESS")
        self.known = {one.id: Known(one, START, covered=covered) for one in machines}
        self.timetable = Timetable(one.instance for one in self.known.values())
        self.takes = takes
        self.begun: dict[str, list[datetime]] = {name: [] for name in self.known}

    def run(self, begin: datetime, end: datetime) -> None:
        """Ticks, and a round at the beginning and every hour."""
        now, next_round = begin, begin
        while now < end:
            chosen = [i.id for i in self.timetable.candidates(now)]
            if now >= next_round:
                chosen, next_round = list(self.known), now + ROUND
            planned = plan(
                [self.seen(name, now) for name in chosen], now, Configuration(),
                by=cadence.is_due,
            )  # fmt: skip
            for instance in planned.due:
                self.begun[instance.id].append(now)
            now += TICK

    def seen(self, name: str, now: datetime) -> Known:
        """As the store has it: a scan that began is live until it is done."""
        begun = self.begun[name]
        done = [at + self.takes for at in begun if at + self.takes <= now]
        live = "live" if len(done) < len(begun) else ""
        return replace(
            self.known[name],
            tried_at=begun[-1] if begun else None,
            scanned_at=done[-1] if done else None,
            live_scan=live,
        )

    def gaps(self) -> list[timedelta]:
        """Between an instance's scans, its first two left out."""
        return [
            later - earlier
            for begun in self.begun.values()
            for earlier, later in pairwise(begun[1:])
        ]


@pytest.mark.slow
@settings(max_examples=3, deadline=None)
@given(takes=st.integers(0, 50))
def test_each_instance_is_scanned_once_in_24_hours_give_or_take_a_tick(takes: int) -> None:
    fleet = Fleet(some_machines(30), timedelta(minutes=takes))
    days = 8
    fleet.run(START, START + days * DAY)
    for gap in fleet.gaps():
        assert DAY - TICK <= gap <= DAY + TICK
    for begun in fleet.begun.values():
        assert begun[0] == START, "a new machine is scanned at once"
        assert begun[1] - begun[0] <= DAY + ROUND + TICK
        assert days <= len(begun) <= days + 1


def test_times_do_not_drift() -> None:
    fleet = Fleet(some_machines(20))
    fleet.run(START, START + 10 * DAY)
    for name, begun in fleet.begun.items():
        first = cadence.last_time(begun[2], time_of_day("123456789012", name))
        for number, at in enumerate(begun[2:]):
            assert timedelta() <= at - (first + number * DAY) <= TICK


def test_a_fleet_is_spread_evenly_over_the_day() -> None:
    hours = Counter(
        int(time_of_day("123456789012", machine(n).id) / timedelta(hours=1)) for n in range(24000)
    )
    assert set(hours) == set(range(24))
    assert max(hours.values()) < 1000 * 1.15
    assert min(hours.values()) > 1000 * 0.85


@pytest.mark.slow
@settings(max_examples=4, deadline=None)
@given(hours=st.integers(1, 120))
def test_no_outage_is_followed_by_a_burst(hours: int) -> None:
    """In the first hour six times the usual scans, fewer with each hour, and none a day late.

    As docs/outcomes.md says. A distance brings an hour's scans and those of a tick's window.
    """
    fleet = Fleet(evenly_spread(480))
    for name in fleet.begun:
        # A fleet in its stride.
        of_day = time_of_day("123456789012", name)
        fleet.begun[name] = [cadence.last_time(START, of_day)]
    back = START + timedelta(hours=hours)
    fleet.run(back, back + 1.5 * DAY)
    usual = len(fleet.begun) / 24
    by_hour = Counter(
        int((at - back) / timedelta(hours=1)) for begun in fleet.begun.values() for at in begun[1:]
    )
    at_a_distance = usual * ((ROUND + WINDOW) / ROUND) + 1  # a machine at the edge
    for hour in range(36):
        assert by_hour[hour] <= at_a_distance * distances_after(hour), hour
    assert distances_after(0) == len(CATCH_UP) == 6
    by_tick = Counter(at for begun in fleet.begun.values() for at in begun[1:])
    assert max(by_tick.values()) <= len(CATCH_UP) * (usual * (WINDOW / ROUND) + 1)
    for begun in fleet.begun.values():
        assert begun[1] - back <= DAY + TICK


def distances_after(hour: int) -> int:
    """At how many distances something is caught up in this hour after an outage.

    What was missed between two distances is caught up at the second one, within what is between.
    """
    return 1 + sum(later - earlier > hour * ROUND for earlier, later in pairwise(CATCH_UP))


@many(200)
@given(
    number=st.integers(0, 1 << 40),
    now=st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)),  # noqa: DTZ001 - zoned below
    ago=st.integers(0, 40 * 3600),
)
def test_what_is_due_is_a_candidate(number: int, now: datetime, ago: int) -> None:
    now = now.replace(tzinfo=UTC)
    instance = machine(number)
    known = Known(instance, now, tried_at=now - timedelta(seconds=ago))
    if cadence.is_due(known, now):
        assert Timetable([instance]).candidates(now) == [instance]


def test_a_first_scan_just_before_an_instances_time_is_not_made_twice() -> None:
    instance = machine(1)
    due = cadence.last_time(START, time_of_day(instance.account, instance.id))
    early = Known(instance, due, tried_at=due - timedelta(minutes=5))
    assert not cadence.is_due(early, due)
    assert cadence.is_due(early, due + timedelta(hours=1)), "an hour later it is"
