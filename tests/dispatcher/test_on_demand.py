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
from sidelight.fleet.stages.poll_snapshots import look
from sidelight.fleet.stages.take_snapshots import STEPS
from sidelight.model import Keeper, ReadStats, Scan, State
from sidelight.report.progress import LiveLine
from sidelight.store.scans.scans import Scans
from tests.workers.bench import KilledError, Mode, Tripwire, World, quick_directory, sqlite_url
from tests.workers.test_lateness import refuse_reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sidelight.fleet.stages.stage_runner import Next

SECONDS = 60.0


@pytest.fixture
def directory() -> Iterator[Path]:
    with quick_directory() as directory:
        yield directory


def world_at(directory: Path, name: object) -> World:
    place = directory / str(name)
    place.mkdir()
    world = World(sqlite_url(place), lease_seconds=SECONDS)
    world.ec2.pending_seconds = 3.0
    return world


def command(world: World, show: Callable[[Scan], None] = lambda _: None) -> Scan:
    """`sidelight scan i-…` without discovery: its row, and its walk."""
    keeper = Keeper.new(SECONDS)
    context = replace(
        world.context,
        keeper=keeper,
        settings=world.context.settings.replaced(advisories="asked for"),
    )
    live = world.store.scans.select(live=True)
    made = live or enqueue(world.store, unsent, world.instances, "here", keeper=keeper)
    return on_demand._walk(context, keeper, made[0].id, world.clock.advance, show)


def test_the_progress_line_says_what_aws_is_waited_for_and_until_when(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = world_at(directory, "late")
    refuse_reading(world, SnapshotNotFoundError("The snapshot does not exist."), 60.0)
    line = LiveLine("scanning i-1")
    shown: list[str] = []

    def inspect(_instance: str, _settings: Any, *, show: Callable[[Scan], None], **_: Any) -> Any:
        def seen(scan: Scan) -> None:
            show(scan)
            shown.append(line.current())

        scan = command(world, show=seen)
        assert scan.state is State.DONE
        return scan, ReadStats()

    monkeypatch.setattr(on_demand, "inspect_instance", inspect)
    options = {"targets": ["i-1"], "reader": "own", "volumes": (), "region": None}
    scanning._read_instance(options, Settings(), line)
    (waits,) = {text.rpartition(",")[0] for text in shown if "waiting" in text}
    assert waits.startswith("scanning i-1: reading, waiting: AWS may not know it everywhere yet")
    assert " UTC: " in waits
    assert "waiting" not in shown[-1]


def unsent(scan_id: str, following: Next) -> None:
    """The command has no broker."""


def fleet_tries(world: World) -> Callable[[int, str], None]:
    """At each point of the command's: all that a dispatcher and workers could do to its scan."""

    def tries(_number: int, _name: str) -> None:
        world.trip.armed = False
        (scan,) = world.store.scans.select()
        assert tick(world.store, world._publish) == 0
        for step in STEPS.values():
            assert step(world.context, scan.id) is None
        assert look(world.context, scan.id) == []
        assert not world.sweep().orphans
        after = world.store.scans.get(scan.id)
        assert (after.state, after.lease) == (scan.state, scan.lease)
        world.trip.armed = True

    return tries


def test_no_worker_has_a_scan_that_a_command_is_at(directory: Path) -> None:
    world = world_at(directory, "one")
    tries, points = fleet_tries(world), []

    def decide(number: int, name: str) -> None:
        points.append(name)
        if world.store.scans.select(live=True):
            tries(number, name)

    world.trip.decide = decide
    world.trip.armed = True
    assert command(world).state is State.DONE
    world.trip.armed = False
    assert {"ec2.create_snapshots", "ebs.get_block", "ec2.delete_snapshot"} <= set(points)
    assert world.ec2.created == 2
    assert not world.ec2.snapshots
    assert len(world.findings()) == 4
    world.close()


@pytest.fixture
def no_last_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is killed says nothing."""
    monkeypatch.setattr(Scans, "let_go", lambda *_: None)


def points_of_a_command(directory: Path) -> list[str]:
    world = world_at(directory, "rehearsal")
    world.trip.armed = True
    command(world)
    world.close()
    return world.trip.seen


def kill(world: World, target: int, mode: Mode) -> None:
    """The command is gone at this point."""
    world.trip.decide = lambda number, _: mode if number == target else None
    world.trip.armed = True
    with pytest.raises(KilledError):
        command(world)
    world.trip.armed = False


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
        world = world_at(directory, target)
        kill(world, target, mode)
        if next_ == "a fleet":
            world.run()
        else:
            # A new scan, where the first had no row yet, or was over.
            command(world)
        scans = world.store.scans.select()
        assert {scan.state for scan in scans} <= {State.DONE}, at
        assert len(world.findings()) == (4 if scans else 0), at
        assert world.ec2.created == 2 * len(scans), at
        assert not world.ec2.snapshots, at
        assert not world.sweep().orphans, at
        world.close()


def test_a_command_that_is_interrupted_leaves_its_scan_to_the_fleet_at_once(
    directory: Path,
) -> None:
    world = world_at(directory, "one")
    world.trip = Tripwire()
    world.inspect_error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        command(world)
    world.inspect_error = None
    assert tick(world.store, world._publish) == 1
    world.run()
    assert world.states() == {State.DONE}
    assert world.ec2.created == 2
    world.close()


def test_a_command_sees_the_outcome_of_a_scan_that_a_fleet_has(directory: Path) -> None:
    """The fleet's worker is at it whenever the command waits; the command gets what it left."""
    world = world_at(directory, "one")
    (scan,) = world.start()
    assert world._work()
    world.clock.advance(2)
    held = world.store.scans.claim(scan.id, {State.SNAPSHOTS_PENDING}, SECONDS)
    assert held is not None
    waits = 0

    def sleep(seconds: float) -> None:
        nonlocal waits
        waits += 1
        if waits == 3:
            world.store.scans.postpone(held, 0)
            world.run()
        world.clock.advance(seconds)

    keeper = Keeper.new(SECONDS)
    context = replace(world.context, keeper=keeper)
    assert on_demand._walk(context, keeper, scan.id, sleep).state is State.DONE
    assert waits == 3
    assert world.ec2.created == 2
    world.close()
