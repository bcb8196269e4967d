"""One fault at every point of a scan's life: each call, commit, message and stage boundary.

A rehearsal counts the points; then a fleet is made for each of them and each kind of fault. After
recovery the findings are the undisturbed run's, no snapshot is left, no scan is stuck.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from sidelight.model import State
from tests.fakes.fake_fleet import FakeFleet
from tests.fakes.tripwire import ALONE, Mode, Tripwire
from tests.fixtures.event_streams import events_agree
from tests.fixtures.store_urls import quick_directory, sqlite_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow


def rehearse(directory: Path) -> tuple[list[str], list[tuple[str, str, str, str]]]:
    """The points of an undisturbed scan, by name, and its findings."""
    fake_fleet = FakeFleet(sqlite_url(directory))
    fake_fleet.trip.armed = True
    fake_fleet.start()
    fake_fleet.run()
    points, found = fake_fleet.trip.seen, fake_fleet.findings()
    fake_fleet.close()
    return points, found


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory: pytest.TempPathFactory) -> tuple[
    list[str], list[tuple[str, str, str, str]]
]:  # fmt: skip
    return rehearse(tmp_path_factory.mktemp("rehearsal"))


@pytest.fixture
def fast_directory() -> Iterator[Path]:
    """For the stores of many fleets."""
    with quick_directory() as directory:
        yield directory


def test_the_catalogue_is_complete(
    rehearsal: tuple[list[str], list[tuple[str, str, str, str]]],
) -> None:
    points, found = rehearsal
    assert set(points) == {
        "broker.publish",
        "ebs.get_block",
        "ebs.list_blocks",
        "ec2.create_snapshots",
        "ec2.delete_snapshot",
        "ec2.describe_by_id",
        "ec2.describe_by_tag",
        "ec2.describe_pending",
        "stage",
        "store.begin",
        "store.committed",
    }
    assert Counter(points)["store.committed"] > 15
    assert len(found) == 4


# The unit tests try some points, `make real` all of them.
AT = pytest.mark.parametrize("at_every_point", [False, pytest.param(True, marks=pytest.mark.slow)])


def chosen(points: list[str], *, every: bool) -> Iterator[tuple[int, str]]:
    """Each point with its number; or the first of each name, and every tenth."""
    for number, name in enumerate(points):
        if every or number % 10 == 0 or points.index(name) == number:
            yield number, name


@AT
@pytest.mark.parametrize("mode", ALONE)
def test_one_fault_anywhere_changes_nothing_in_the_end(
    mode: Mode,
    at_every_point: bool,
    fast_directory: Path,
    rehearsal: tuple[list[str], list[tuple[str, str, str, str]]],
) -> None:
    points, expected = rehearsal
    for target, name in chosen(points, every=at_every_point):
        directory = fast_directory / f"{target}"
        directory.mkdir()
        fake_fleet = FakeFleet(sqlite_url(directory))
        fake_fleet.trip.decide = at_number(target, mode)
        fake_fleet.trip.armed = True
        at = f"{name} (point {target}) {mode.value}"
        fake_fleet.start_through_faults()
        fake_fleet.run()
        fake_fleet.trip.armed = False
        assert fake_fleet.states() == {State.DONE}, at
        assert fake_fleet.findings() == expected, at
        events_agree(fake_fleet.store, at)
        assert not fake_fleet.ec2.snapshots, at
        assert not fake_fleet.sweep().orphans, at
        # A call whose answer was lost is found by its tag, not made again.
        assert fake_fleet.ec2.created == 2, at
        assert all(source.closed for source in fake_fleet.sources), at
        fake_fleet.close()


@AT
def test_a_worker_that_stalls_and_comes_back_late_does_no_harm(
    at_every_point: bool,
    fast_directory: Path,
    rehearsal: tuple[list[str], list[tuple[str, str, str, str]]],
) -> None:
    """Longer than its lease, without a heartbeat (a frozen machine): another does the rest."""
    points, expected = rehearsal
    for target, name in chosen(points, every=at_every_point):
        directory = fast_directory / f"{target}"
        directory.mkdir()
        fake_fleet = FakeFleet(sqlite_url(directory))
        fake_fleet.trip.decide = at_number(target, Mode.STALL)
        fake_fleet.trip.meanwhile = lambda fake_fleet=fake_fleet: overtake(fake_fleet)  # type: ignore[misc] # bound now
        fake_fleet.trip.armed = True
        at = f"{name} (point {target}) stalls"
        fake_fleet.start_through_faults()
        fake_fleet.run()
        assert fake_fleet.states() == {State.DONE}, at
        assert fake_fleet.findings() == expected, at
        # A creation that comes after the end is the one thing left to the sweep.
        late = len(fake_fleet.ec2.snapshots)
        assert late == 0 or name in ("store.committed", "ec2.create_snapshots"), at
        fake_fleet.clock.advance(60)
        assert len(fake_fleet.sweep().deleted) == late, at
        assert not fake_fleet.ec2.snapshots, at
        fake_fleet.close()


def overtake(fake_fleet: FakeFleet) -> None:
    """What other workers do while one is frozen past its lease."""
    fake_fleet.clock.advance(fake_fleet.context.settings.workers.lease_seconds + 1)
    fake_fleet.run()


def at_number(target: int, mode: Mode) -> Callable[[int, str], Mode | None]:
    """Trip once."""
    return lambda number, _: mode if number == target else None


def at_name(target: str, mode: Mode) -> Callable[[int, str], Mode | None]:
    """Trip always."""
    return lambda _, name: mode if name == target else None


def test_a_fault_that_is_always_there_ends_in_failed_and_leaves_nothing(
    fast_directory: Path,
) -> None:
    for name in ("ec2.create_snapshots", "ebs.list_blocks", "ebs.get_block"):
        for mode in (Mode.FAIL_BEFORE, Mode.FAIL_AFTER, Mode.KILL_BEFORE, Mode.KILL_AFTER):
            directory = fast_directory / f"{name}-{mode.name}"
            directory.mkdir()
            fake_fleet = FakeFleet(sqlite_url(directory))
            fake_fleet.trip.decide = at_name(name, mode)
            fake_fleet.trip.armed = True
            fake_fleet.start()
            fake_fleet.run()
            fake_fleet.trip.armed = False
            at = f"{name} always {mode.value}"
            scan = fake_fleet.store.scans.select()[0]
            created_after_all = name.startswith("ec2") and mode.name.endswith("AFTER")
            assert scan.state is (State.DONE if created_after_all else State.FAILED), at
            assert not fake_fleet.ec2.snapshots, at
            if scan.state is State.FAILED:
                assert scan.failure, at
                row = fake_fleet.store.instances.coverage()[0]
                assert (row.status_code, row.detail) == ("INACTIVE", scan.failure), at
            fake_fleet.close()


def test_deletion_that_never_works_is_given_to_the_sweep(fast_directory: Path) -> None:
    fake_fleet = FakeFleet(sqlite_url(fast_directory))
    fake_fleet.ec2.undeletable = True
    fake_fleet.start()
    fake_fleet.run()
    scan = fake_fleet.store.scans.select()[0]
    assert scan.state is State.FAILED
    assert len(fake_fleet.ec2.snapshots) == 2
    assert "sweep" in fake_fleet.store.instances.coverage()[0].detail
    fake_fleet.ec2.undeletable = False
    swept = fake_fleet.sweep()
    assert len(swept.orphans) == len(swept.deleted) == 2
    assert not swept.left
    assert not fake_fleet.ec2.snapshots
    fake_fleet.close()


def test_the_tripwire_counts_what_it_lets_through() -> None:
    trip = Tripwire(decide=lambda number, _: Mode.FAIL_AFTER if number == 1 else None)
    done: list[int] = []
    trip("a", lambda: done.append(1))
    with pytest.raises(Exception, match="injected after"):
        trip("b", lambda: done.append(2))
    assert (done, trip.seen) == ([1, 2], ["a", "b"])
