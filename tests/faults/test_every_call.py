"""One fault at every point of a life, on real services: fail before, fail after, kill -9.

A rehearsal names the points: each call to AWS, each commit, each message, each slot of the budget,
each task and acknowledgement. `make faults` takes every point, in every mode, on SQLite and on
PostgreSQL; `make test` one for each mode on both.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.fixtures.scan_life import KILLS, MODES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fixtures.fleet_lives import Fleet, Found

pytestmark = [pytest.mark.services, pytest.mark.images]
SAMPLE = 6  # the seed of the points that `make test` takes


@pytest.fixture(params=["sqlite", "postgresql"])
def on_each_store(fleet: Fleet, request: pytest.FixtureRequest) -> Iterator[Fleet]:
    if request.param == "postgresql":
        fleet.postgresql = request.getfixturevalue("postgresql")
    yield fleet
    fleet.postgresql = ""


CATALOGUE = {
    "broker.acknowledge", "broker.publish", "budget.slot", "ebs.GetSnapshotBlock",
    "ebs.ListSnapshotBlocks", "ec2.CreateSnapshots", "ec2.DeleteSnapshot", "ec2.DescribeInstances",
    "ec2.DescribeSnapshots", "ec2.DescribeVolumes", "kms.ListResourceTags",
    "service-quotas.GetServiceQuota", "sts.AssumeRole", "sts.GetCallerIdentity",
    "store.claim", "store.claim_waiting", "store.close_instances",
    "store.cover",
    "store.create", "store.deployment", "store.discovered", "store.finish", "store.intend",
    "store.note", "store.pend", "store.postpone", "store.published", "store.receipted",
    "store.record", "store.schedule", "store.settle",
    "store.evaluate", "store.save_inventory", "worker.await", "worker.delete",
    "worker.evaluate", "worker.inspect", "worker.take",
}  # fmt: skip


def test_the_catalogue_is_complete(rehearsal: tuple[list[str], Found]) -> None:
    names = Counter(rehearsal[0])
    # These are met on other ways than the straight one, by the faults' own recoveries.
    # `inspect` goes on to `evaluate` where that is its own worker's as well.
    rare = {"store.note", "store.postpone", "store.close_instances", "worker.evaluate"}
    assert CATALOGUE - rare <= set(names)
    unknown = {name for name in names if not name.startswith("store.")} - CATALOGUE
    assert not unknown, "a new call needs a fault"
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    for name in names:
        service, _, operation = name.partition(".")
        if service in ("ec2", "ebs", "kms"):
            assert operation in readme, "README lists the permissions that a scan needs"


def one_fault(fleet: Fleet, points: list[str], number: int, mode: str, expected: Found) -> None:
    """A life with this fault, then undisturbed ones."""
    # By its name: a slow life may publish once more, and the numbers after that are others'.
    name, nth = points[number], points[: number + 1].count(points[number])
    fleet.begin()
    before = fleet.cloud.answers("CreateSnapshots")
    status, met = fleet.live({"mode": mode, "name": name, "nth": nth})
    at = f"{name}, the {nth}. (point {number}), {mode}"
    assert met.count(name) >= nth, f"not met: {at}"
    if mode in KILLS:
        assert status == -9, at
    fleet.recover(at)
    fleet.check(expected, at)
    # A creation whose answer was lost is found by its tag: made again only where it never was.
    creations = fleet.cloud.answers("CreateSnapshots") - before
    assert creations == 1, at


def test_a_point_for_each_mode_is_outlived(
    on_each_store: Fleet, rehearsal: tuple[list[str], Found]
) -> None:
    points, expected = rehearsal
    numbers = random.Random(SAMPLE).sample(range(len(points)), len(MODES))
    for number, mode in zip(numbers, MODES, strict=True):
        one_fault(on_each_store, points, number, mode, expected)


# From here on: seconds a fault.
@pytest.mark.long
@pytest.mark.parametrize("part", range(3))
def test_each_kind_of_point_is_outlived(
    fleet: Fleet, rehearsal: tuple[list[str], Found], part: int
) -> None:
    """A third of the kinds at a time."""
    points, expected = rehearsal
    kinds = sorted(set(points))
    for turn, name in list(enumerate(kinds))[part::3]:
        mode = MODES[turn % len(MODES)]
        one_fault(fleet, points, points.index(name), mode, expected)


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("mode", MODES)
def test_every_point_is_outlived(
    on_each_store: Fleet, rehearsal: tuple[list[str], Found], mode: str
) -> None:
    points, expected = rehearsal
    # SIDELIGHT_TEST_POINTS=7 takes every seventh.
    step = int(os.environ.get("SIDELIGHT_TEST_POINTS", "1"))
    numbers = range(0, len(points), step)
    for number in numbers:
        one_fault(on_each_store, points, number, mode, expected)
    store = "postgresql" if on_each_store.postgresql else "sqlite"
    print(f"{len(numbers)} of {len(points)} points, {mode}, {store}")  # noqa: T201 - how much


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2))
def test_a_life_of_many_faults_is_outlived(
    fleet: Fleet, rehearsal: tuple[list[str], Found], seed: int
) -> None:
    many_faults(fleet, seed, rehearsal[1])


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_a_hundred_lives_of_many_faults_are_outlived(
    on_each_store: Fleet, rehearsal: tuple[list[str], Found]
) -> None:
    for seed in range(100, 200):
        many_faults(on_each_store, seed, rehearsal[1])


def many_faults(fleet: Fleet, seed: int, expected: Found) -> None:
    """Four lives under faults, each of which may end in a kill, then undisturbed ones."""
    fleet.begin()
    for life in range(4):
        fleet.live({"seed": seed, "rate": (0.01, 0.03, 0.1)[seed % 3]}, life)
    fleet.recover(f"seed {seed}", first=4)
    fleet.check(expected, f"seed {seed}")
