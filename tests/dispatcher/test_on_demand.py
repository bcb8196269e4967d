"""A scan in one process on a fleet's store: one has it at a time, and nothing is done twice."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from dispatcher import on_demand
from dispatcher.cli import scan as scanning
from dispatcher.enqueue import enqueue, tick
from sidelight.errors import SnapshotNotFoundError
from sidelight.fleet.settings import Settings
from sidelight.fleet.stages.poll_snapshots import poll
from sidelight.fleet.stages.take_snapshots import STEPS
from sidelight.model import Keeper, ReadStats, Scan, State
from sidelight.report.progress import LiveLine
from sidelight.store.scans.scans import Scans
from tests.fakes.fake_fleet import FakeFleet
from tests.fakes.late_snapshots import refuse_reading
from tests.fakes.tripwire import KilledError, Mode, Tripwire
from tests.fixtures.store_urls import quick_directory, sqlite_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from dispatcher.cli.option_values import ReadValues
    from sidelight.fleet.stages.stage_runner import Next

SECONDS = 60.0


@pytest.fixture
def directory() -> Iterator[Path]:
    with quick_directory() as directory:
        yield directory


def world_at(directory: Path, name: object) -> FakeFleet:
    place = directory / str(name)
    place.mkdir()
    fake_fleet = FakeFleet(sqlite_url(place), lease_seconds=SECONDS)
    fake_fleet.ec2.pending_seconds = 3.0
    return fake_fleet


def command(fake_fleet: FakeFleet, show: Callable[[Scan], None] = lambda _: None) -> Scan:
    """`sidelight scan i-…` without discovery: its row, and its walk."""
    keeper = Keeper.new(SECONDS)
    context = replace(
        fake_fleet.context,
        keeper=keeper,
        settings=fake_fleet.context.settings.replaced(advisories="asked for"),
    )
    live = fake_fleet.store.scans.select(live=True)
    scans = live or enqueue(fake_fleet.store, unsent, fake_fleet.instances, "here", keeper=keeper)
    return on_demand._walk(context, keeper, scans[0].id, fake_fleet.clock.advance, show)


def test_the_progress_line_says_what_aws_is_waited_for_and_until_when(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_fleet = world_at(directory, "late")
    refuse_reading(fake_fleet, SnapshotNotFoundError("The snapshot does not exist."), 60.0)
    line = LiveLine("scanning i-1")
    shown: list[str] = []

    def inspect(_instance: str, _settings: Any, *, show: Callable[[Scan], None], **_: Any) -> Any:
        def seen(scan: Scan) -> None:
            show(scan)
            shown.append(line.current())

        scan = command(fake_fleet, show=seen)
        assert scan.state is State.DONE
        return scan, ReadStats()

    monkeypatch.setattr(on_demand, "inspect_instance", inspect)
    options: ReadValues = {"targets": ["i-1"], "reader": "own", "volumes": (), "region": None}
    scanning._read_instance(options, Settings(), line)
    (waits,) = {text.rpartition(",")[0] for text in shown if "waiting" in text}
    assert waits.startswith("scanning i-1: reading, waiting: AWS may not know it everywhere yet")
    assert " UTC: " in waits
    assert "waiting" not in shown[-1]
    fake_fleet.close()


def unsent(scan_id: str, following: Next) -> None:
    """The command has no broker."""


def fleet_tries(fake_fleet: FakeFleet) -> Callable[[int, str], None]:
    """At each point of the command's: all that a dispatcher and workers could do to its scan."""

    def tries(_number: int, _name: str) -> None:
        fake_fleet.trip.armed = False
        (scan,) = fake_fleet.store.scans.select()
        assert tick(fake_fleet.store, fake_fleet._publish) == 0
        for step in STEPS.values():
            assert step(fake_fleet.context, scan.id) is None
        assert poll(fake_fleet.context, scan.id) == []
        assert not fake_fleet.sweep().orphans
        after = fake_fleet.store.scans.get(scan.id)
        assert (after.state, after.lease) == (scan.state, scan.lease)
        fake_fleet.trip.armed = True

    return tries


def test_no_worker_has_a_scan_that_a_command_is_at(directory: Path) -> None:
    fake_fleet = world_at(directory, "one")
    tries, points = fleet_tries(fake_fleet), []

    def decide(number: int, name: str) -> None:
        points.append(name)
        if fake_fleet.store.scans.select(live=True):
            tries(number, name)

    fake_fleet.trip.decide = decide
    fake_fleet.trip.armed = True
    assert command(fake_fleet).state is State.DONE
    fake_fleet.trip.armed = False
    assert {"ec2.create_snapshots", "ebs.get_block", "ec2.delete_snapshot"} <= set(points)
    assert fake_fleet.ec2.created == 2
    assert not fake_fleet.ec2.snapshots
    assert len(fake_fleet.findings()) == 4
    fake_fleet.close()


@pytest.fixture
def no_last_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is killed says nothing."""
    monkeypatch.setattr(Scans, "let_go", lambda *_: None)


def points_of_a_command(directory: Path) -> list[str]:
    fake_fleet = world_at(directory, "rehearsal")
    fake_fleet.trip.armed = True
    command(fake_fleet)
    fake_fleet.close()
    return fake_fleet.trip.seen


def kill(fake_fleet: FakeFleet, target: int, mode: Mode) -> None:
    """The command is gone at this point."""
    fake_fleet.trip.decide = lambda number, _: mode if number == target else None
    fake_fleet.trip.armed = True
    with pytest.raises(KilledError):
        command(fake_fleet)
    fake_fleet.trip.armed = False


@pytest.mark.slow
@pytest.mark.usefixtures("no_last_word")
@pytest.mark.parametrize("every", [10, pytest.param(1, marks=pytest.mark.long)])
@pytest.mark.parametrize("mode", [Mode.KILL_BEFORE, Mode.KILL_AFTER])
@pytest.mark.parametrize("next_", ["a fleet", "the command, given again"])
def test_after_a_killed_command_another_goes_on(
    directory: Path, mode: Mode, next_: str, every: int
) -> None:
    points = points_of_a_command(directory)
    for target in range(0, len(points), every):
        name = points[target]
        at = f"{name} (point {target}) {mode.value}"
        fake_fleet = world_at(directory, target)
        kill(fake_fleet, target, mode)
        if next_ == "a fleet":
            fake_fleet.run()
        else:
            # A new scan, where the first had no row yet, or was over.
            command(fake_fleet)
        scans = fake_fleet.store.scans.select()
        assert {scan.state for scan in scans} <= {State.DONE}, at
        assert len(fake_fleet.findings()) == (4 if scans else 0), at
        assert fake_fleet.ec2.created == 2 * len(scans), at
        assert not fake_fleet.ec2.snapshots, at
        assert not fake_fleet.sweep().orphans, at
        fake_fleet.close()


def test_a_command_that_is_interrupted_leaves_its_scan_to_the_fleet_at_once(
    directory: Path,
) -> None:
    fake_fleet = world_at(directory, "one")
    fake_fleet.trip = Tripwire()
    fake_fleet.inspect_error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        command(fake_fleet)
    fake_fleet.inspect_error = None
    assert tick(fake_fleet.store, fake_fleet._publish) == 1
    fake_fleet.run()
    assert fake_fleet.states() == {State.DONE}
    assert fake_fleet.ec2.created == 2
    fake_fleet.close()


def test_a_command_sees_the_outcome_of_a_scan_that_a_fleet_has(directory: Path) -> None:
    """The fleet's worker is at it whenever the command waits; the command gets what it left."""
    fake_fleet = world_at(directory, "one")
    (scan,) = fake_fleet.start()
    assert fake_fleet._work()
    fake_fleet.clock.advance(2)
    held = fake_fleet.store.scans.claim(scan.id, {State.SNAPSHOTS_PENDING}, SECONDS)
    assert held is not None
    waits = 0

    def sleep(seconds: float) -> None:
        nonlocal waits
        waits += 1
        if waits == 3:
            fake_fleet.store.scans.postpone(held, 0)
            fake_fleet.run()
        fake_fleet.clock.advance(seconds)

    keeper = Keeper.new(SECONDS)
    context = replace(fake_fleet.context, keeper=keeper)
    assert on_demand._walk(context, keeper, scan.id, sleep).state is State.DONE
    assert waits == 3
    assert fake_fleet.ec2.created == 2
    fake_fleet.close()
