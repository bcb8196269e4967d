"""Rows before messages; snapshots without a live scan are deleted, and no others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dispatcher.discover import discover
from dispatcher.enqueue import enqueue, tick
from dispatcher.sweep import sweep
from sidelight.aws.ec2 import SnapshotInfo
from sidelight.errors import CloudError
from sidelight.store import State
from tests.workers.bench import ACCOUNT, REGION, START, World, quick_directory, sqlite_url

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from workers.holding import Next


@pytest.fixture
def world() -> Iterator[World]:
    with quick_directory() as directory:
        world = World(sqlite_url(directory), machines=3)
        yield world
        world.close()


def nowhere(_scan_id: str, _following: Next) -> None:
    raise OSError("the broker is away")


def test_the_row_is_committed_before_its_message_is_sent(world: World) -> None:
    seen: list[State] = []
    enqueue(
        world.store,
        lambda scan_id, _: seen.append(world.store.scans.get(scan_id).state),
        world.instances,
        "here",
    )
    assert seen == [State.NEW] * 3


def test_without_a_broker_nothing_is_lost(world: World) -> None:
    made = enqueue(world.store, nowhere, world.instances, "here")
    assert len(made) == 3
    assert tick(world.store, nowhere) == 0
    sent: list[str] = []
    assert tick(world.store, lambda scan_id, _: sent.append(scan_id)) == 3
    assert sorted(sent) == sorted(scan.id for scan in made)
    assert tick(world.store, lambda scan_id, _: sent.append(scan_id)) == 0


def test_a_second_dispatcher_makes_no_second_scan(world: World) -> None:
    assert len(world.start()) == 3
    assert world.start() == []


def test_a_tick_over_many_live_scans_publishes_only_what_is_due(world: World) -> None:
    world.start()
    world.run(rounds=3000)
    assert tick(world.store, nowhere) == 0


def snapshot(name: str, **tags: str) -> SnapshotInfo:
    return SnapshotInfo(f"snap-{name}", "vol", "completed", started_at=START,
                        tags=tuple(sorted(tags.items())))  # fmt: skip


def put(world: World, *infos: SnapshotInfo) -> None:
    world.ec2.snapshots |= {info.id: info for info in infos}
    world.clock.advance(60)


def test_an_orphan_is_deleted_and_a_live_scans_snapshot_is_not(world: World) -> None:
    live, ended = world.start()[:2]
    held = world.store.scans.claim(ended.id, {State.NEW}, 60)
    assert held is not None
    world.store.scans.advance(held, State.FAILED)
    put(
        world,
        snapshot("live", InspectorScan=live.id, SidelightDeployment="here"),
        snapshot("ended", InspectorScan=ended.id, SidelightDeployment="here"),
        snapshot("unknown", InspectorScan="x", SidelightDeployment="here"),
    )
    swept = world.sweep()
    assert swept.orphans == swept.deleted == ("snap-ended", "snap-unknown")
    assert swept.live == ("snap-live",)
    assert not swept.left
    assert set(world.ec2.snapshots) == {"snap-live"}
    assert not world.sweep().orphans


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {"InspectorScan": "x"},
        {"SidelightDeployment": "here"},
        {"InspectorScan": "x", "SidelightDeployment": "elsewhere"},
        {"InspectorScan": "", "SidelightDeployment": "here"},
        {"Name": "here"},
    ],
)
def test_a_snapshot_without_both_of_our_tags_is_never_touched(
    world: World, tags: dict[str, str]
) -> None:
    put(world, snapshot("stranger", **tags))
    assert not world.sweep().orphans
    assert world.ec2.snapshots


def test_an_endpoint_that_ignores_filters_costs_no_stranger_a_snapshot(world: World) -> None:
    strangers = [snapshot("a"), snapshot("b", InspectorScan="x", SidelightDeployment="elsewhere")]
    put(world, *strangers)
    ec2: Any = world.ec2
    ec2.snapshots_by_tags = lambda _: strangers
    assert not sweep(world.store, world.ec2, "here").orphans
    assert len(world.ec2.snapshots) == 2


def test_a_dry_run_deletes_nothing(world: World) -> None:
    put(world, snapshot("old", InspectorScan="x", SidelightDeployment="here"))
    swept = sweep(world.store, world.ec2, "here", dry_run=True)
    assert swept.orphans == swept.left == ("snap-old",)
    assert not swept.deleted


def test_one_that_cannot_be_deleted_is_told_and_the_others_go_on(world: World) -> None:
    put(world, *(snapshot(n, InspectorScan="x", SidelightDeployment="here") for n in "ab"))
    delete = world.ec2.delete_snapshot

    def refuse(snapshot_id: str) -> bool:
        if snapshot_id == "snap-a":
            raise CloudError("in use", code="InvalidSnapshot.InUse")
        return delete(snapshot_id)

    world.ec2.delete_snapshot = refuse  # type: ignore[method-assign] # for one of them
    swept = world.sweep()
    assert (swept.failed, swept.deleted, swept.left) == (("snap-a",), ("snap-b",), ("snap-a",))


def test_an_instance_that_is_gone_closes_its_findings(world: World) -> None:
    world.start()
    world.run()
    gone = world.instances[0]

    class Ec2:
        def instances(self) -> list[object]:
            return list(world.instances[1:])

    class Kms:
        def tagged(self, _keys: Iterable[str], _tag: str) -> frozenset[str]:
            return frozenset()

    found = discover(world.store, Ec2(), Kms(), account=ACCOUNT, region=REGION, tag="t")  # type: ignore[arg-type] # instances as they are
    assert found.gone == [gone.id]
    assert gone.id not in {row[0] for row in world.findings()}
    reasons = {row.instance: row.reason for row in world.store.fleet.coverage()}
    assert reasons[gone.id] == "RESOURCE_TERMINATED"
