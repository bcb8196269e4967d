"""Outcomes of scans that meet a limit of AWS or of our own.

Each test is a line of docs/outcomes.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sidelight.fleet.settings import Settings
from sidelight.localcloud.faults import FaultKind, FaultPlan, Rule
from sidelight.model import State

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.fixtures.local_fleets import LocalFleet


pytestmark = [pytest.mark.services, pytest.mark.images]


def test_snapshots_in_progress_are_waited_for(
    make_local_fleet: Callable[..., LocalFleet], image: Path
) -> None:
    fleet = make_local_fleet(snapshot_seconds=300)
    web = fleet.cloud.add_instance("web", [image])
    assert fleet.scan()[web].state is State.DONE
    assert fleet.waited > 10  # the longer it has taken, the rarer the looks
    assert fleet.reported(web) == ("ACTIVE", "SUCCESSFUL")


@pytest.mark.parametrize(("kind", "limit"), [("gp3", 5), ("st1", 1)])
def test_a_volume_with_all_its_snapshots_under_way_is_waited_for(
    make_local_fleet: Callable[..., LocalFleet], image: Path, kind: str, limit: int
) -> None:
    """Those of somebody else; deleted while in progress, they count until they would be done."""
    fleet = make_local_fleet(snapshot_seconds=600)
    web = fleet.cloud.add_instance("web", [image], volume_type=kind)
    volume = fleet.cloud.volumes(web)["/dev/sda1"]
    for _ in range(limit):
        snapshot = fleet.ec2().create_snapshot(VolumeId=volume)
        fleet.settle()
        fleet.ec2().delete_snapshot(SnapshotId=snapshot["SnapshotId"])
    scan = fleet.scan()[web]
    assert scan.state is State.DONE
    assert fleet.passed() >= 1200, "their time, and then our own"
    assert fleet.reported(web) == ("ACTIVE", "SUCCESSFUL")


def test_a_volume_that_stays_busy_fails_the_scan_with_ec2s_words(
    make_local_fleet: Callable[..., LocalFleet], image: Path
) -> None:
    fleet = make_local_fleet(Settings.of(busy_seconds=1200))
    web = fleet.cloud.add_instance("web", [image])
    fleet.cloud.plan = FaultPlan(
        [Rule(FaultKind.ERROR, "ec2:CreateSnapshots", code="ConcurrentSnapshotLimitExceeded")]
    )
    assert fleet.scan()[web].state is State.FAILED
    assert fleet.reported(web) == ("INACTIVE", "INTERNAL_ERROR")
    assert "ConcurrentSnapshotLimitExceeded" in fleet.covered(web).detail


def test_a_limit_on_pending_snapshots_makes_scans_take_turns(
    make_local_fleet: Callable[..., LocalFleet], image: Path
) -> None:
    fleet = make_local_fleet(snapshot_seconds=120, snapshot_limit=2)
    for name in ("a", "b", "c"):
        fleet.cloud.add_instance(name, [image, image])
    assert {scan.state for scan in fleet.scan().values()} == {State.DONE}
    assert fleet.passed() >= 360


@pytest.mark.parametrize(
    "code", ["SnapshotLimitExceeded", "ResourceLimitExceeded", "RequestLimitExceeded"]
)
def test_an_accounts_limits_are_waited_for(
    make_local_fleet: Callable[..., LocalFleet], image: Path, code: str
) -> None:
    fleet = make_local_fleet()
    web = fleet.cloud.add_instance("web", [image])
    rule = Rule(FaultKind.ERROR, "ec2:CreateSnapshots", code=code, status=503, times=8)
    fleet.cloud.plan = FaultPlan([rule])
    assert fleet.scan()[web].state is State.DONE
    assert fleet.waited >= 8


def test_our_own_cap_on_snapshots_makes_scans_take_turns(
    make_local_fleet: Callable[..., LocalFleet], image: Path
) -> None:
    fleet = make_local_fleet(Settings.of(snapshots_in_flight=3), snapshot_seconds=60)
    for name in ("a", "b", "c"):
        fleet.cloud.add_instance(name, [image, image])
    most = [0]
    scans: Any = fleet.control.store.scans
    create = scans.intend

    def watched(*arguments: Any) -> Any:
        most[0] = max(most[0], len(fleet.cloud.snapshots()))
        return create(*arguments)

    scans.intend = watched
    assert {scan.state for scan in fleet.scan().values()} == {State.DONE}
    assert most[0] <= 3


def test_a_volume_that_two_instances_share_is_snapshotted_for_each_within_its_limit(
    make_local_fleet: Callable[..., LocalFleet], image: Path
) -> None:
    fleet = make_local_fleet(Settings.of(snapshots_per_volume=1), snapshot_seconds=60)
    one = fleet.cloud.add_instance("one", {"/dev/sda1": image, "/dev/sdf": image})
    two = fleet.cloud.add_instance("two", {"/dev/sda1": image})
    fleet.cloud.share_volume(fleet.cloud.volumes(one)["/dev/sdf"], two, "/dev/sdf")
    scans = fleet.scan()
    assert {scan.state for scan in scans.values()} == {State.DONE}
    store = fleet.control.store
    volumes = {
        instance: {snapshot.volume for snapshot in store.scans.snapshots(scan.id)}
        for instance, scan in scans.items()
    }
    shared = fleet.cloud.volumes(one)["/dev/sdf"]
    assert shared in volumes[one]
    assert shared in volumes[two]
    assert len(volumes[two]) == 2
