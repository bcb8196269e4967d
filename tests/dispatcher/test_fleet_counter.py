"""Counts are kept as often as the database bears."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dispatcher.fleet_counter import PLAN_EVERY, FleetCounter
from tests.fixtures.searched_findings import fill

if TYPE_CHECKING:
    import pytest

    from sidelight.store import Store


class SlowClock:
    """Seconds that pass with each reading."""

    def __init__(self, step: float) -> None:
        self.step = step
        self.time = 0.0

    def __call__(self) -> float:
        self.time += self.step
        return self.time


def test_everything_is_counted_at_the_first_run(store: Store) -> None:
    fill(store, 4)
    assert FleetCounter(store).run()
    assert store.fleet_overview.counted_at() is not None
    assert store.fleet_overview.days(None, 1)[0].counted
    assert store.remediations.kept().actions


def test_a_slow_count_is_repeated_rarely(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[str] = []
    monkeypatch.setattr(store.fleet_counts, "recount", lambda: counted.append("findings"))
    clock = SlowClock(10.0)  # each count takes ten seconds
    counter = FleetCounter(store, clock)
    counter.run()
    counter.run()
    assert counted == ["findings"]
    clock.time += 200.0
    counter.run()
    assert counted == ["findings", "findings"]


def test_the_plan_is_computed_every_ten_minutes(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[str] = []
    monkeypatch.setattr(store.remediations, "refresh", lambda _: counted.append("plan"))
    clock = SlowClock(0.0)
    counter = FleetCounter(store, clock)
    for _ in range(3):
        counter.run()
    assert counted == ["plan"]
    clock.time += PLAN_EVERY + 1
    counter.run()
    assert counted == ["plan", "plan"]


def test_it_stops_when_asked(store: Store) -> None:
    assert not FleetCounter(store).run(lambda: True)
    assert store.fleet_overview.counted_at() is None
