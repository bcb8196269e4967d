"""Many faults at once, by seed, over a fleet of several machines."""

from __future__ import annotations

import random
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from sidelight.model import TERMINAL
from tests.fakes.fake_fleet import FakeFleet
from tests.fakes.tripwire import ALONE
from tests.fixtures.store_urls import quick_directory, sqlite_url

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.slow


def schedule(seed: int, url: str) -> None:
    """A fleet under faults, then without: nothing stuck, nothing left, the same findings."""
    with closing(FakeFleet(url, machines=4)) as fake_fleet:
        dice = random.Random(seed)
        rate = dice.choice([0.02, 0.05, 0.15])
        modes = list(ALONE)
        fake_fleet.trip.decide = lambda _number, _name: (
            dice.choice(modes) if dice.random() < rate else None
        )
        fake_fleet.trip.armed = True
        fake_fleet.start_through_faults()
        fake_fleet.run()
        fake_fleet.trip.armed = False
        at = f"seed {seed}, rate {rate}"
        assert fake_fleet.states() <= TERMINAL, at
        fake_fleet.clock.advance(60)
        swept = fake_fleet.sweep()
        assert not swept.live, at
        assert not swept.left, at
        assert not fake_fleet.ec2.snapshots, at
        # The next day, undisturbed: every machine is scanned, every finding is there once.
        fake_fleet.start()
        fake_fleet.run()
        assert not fake_fleet.ec2.snapshots, at
        found = fake_fleet.findings()
        assert len(found) == len(set(found)) == 16, at


@pytest.mark.parametrize("seed", range(12))
def test_a_fleet_outlives_its_faults(seed: int) -> None:
    with quick_directory() as directory:
        schedule(seed, sqlite_url(directory))


@pytest.mark.services
@pytest.mark.parametrize("seed", range(20, 24))
def test_a_fleet_on_postgresql_outlives_its_faults(
    seed: int, make_postgresql: Callable[[], str]
) -> None:
    schedule(seed, make_postgresql())


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("first", range(100, 1100, 50))
def test_a_fleet_outlives_a_thousand_schedules(first: int) -> None:
    """In parts, so that all cores share them and each is reported separately."""
    for seed in range(first, first + 50):
        with quick_directory() as directory:
            schedule(seed, sqlite_url(directory))
