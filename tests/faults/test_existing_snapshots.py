"""Scans of existing snapshots, end to end in the strict local cloud, seen by boto3."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from dispatcher.planning.eligibility import Configuration
from sidelight.fleet.settings import Settings
from sidelight.localcloud.faults import FaultKind, FaultPlan, Rule
from sidelight.model import State
from tests.fixtures.organizations import TARGET_POLICIES, run_all

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dispatcher.services.fleet_service import FleetService
    from tests.fixtures.local_fleets import LocalFleet
    from tests.fixtures.organizations import Organization

pytestmark = [pytest.mark.services, pytest.mark.images]
HOURS = Settings.of(existing_snapshots_hours=24.0)
ONLY = Settings.of(existing_snapshots_hours=24.0, existing_snapshots_only=True)


def back_up(fleet: LocalFleet, instance: str, **options: Any) -> list[str]:
    """The owner's snapshots of an instance, by one call, completed."""
    response = fleet.ec2().create_snapshots(
        InstanceSpecification={"InstanceId": instance}, Description="nightly", **options
    )
    fleet.advance(600.0)
    return [one["SnapshotId"] for one in response["Snapshots"]]


def test_existing_snapshots_are_read_and_left_as_they_are(
    make_local_fleet: Callable[..., LocalFleet], image: Path
) -> None:
    fleet = make_local_fleet(HOURS)
    instance = fleet.cloud.add_instance("web", [image])
    fleet.settle()
    backups = back_up(fleet, instance)
    before = fleet.ec2().describe_snapshots(OwnerIds=["self"])["Snapshots"]
    fleet.cloud.counters.reset()
    scan = fleet.scan(leaves=True)[instance]
    assert (scan.state, scan.source) == (State.DONE, "EXISTING")
    for never in ("CreateSnapshots", "DeleteSnapshot", "ModifySnapshotAttribute", "CreateTags"):
        assert fleet.cloud.calls(never) == 0
    assert fleet.cloud.answers("DescribeSnapshots") == 1
    assert fleet.ec2().describe_snapshots(OwnerIds=["self"])["Snapshots"] == before
    covered = fleet.covered(instance)
    assert covered.status_code == "ACTIVE"
    assert (covered.data_source, covered.data_at) == ("EXISTING", before[0]["StartTime"])
    assert covered.scanned_at == covered.data_at
    source = fleet.control.store.scan_sources.of([scan.id])[scan.id]
    assert [one.id for one in source.snapshots] == backups
    # The same findings as of a new snapshot.
    found = fleet.control.store.findings.inventory(scan.account, instance).packages
    fleet.control.scans._sources = None
    again = fleet.scan(leaves=True)[instance]
    assert again.source == ""
    assert fleet.cloud.snapshots() == backups
    assert fleet.control.store.findings.inventory(scan.account, instance).packages == found
    assert fleet.covered(instance).data_source == ""


def test_one_listing_serves_many_instances(
    make_local_fleet: Callable[..., LocalFleet], image: Path
) -> None:
    fleet = make_local_fleet(HOURS)
    instances = [fleet.cloud.add_instance(f"web-{n}", [image]) for n in range(5)]
    fleet.settle()
    for instance in instances:
        back_up(fleet, instance)
    fleet.cloud.counters.reset()
    scans = fleet.scan(leaves=True)
    assert {scan.source for scan in scans.values()} == {"EXISTING"}
    assert fleet.cloud.answers("DescribeSnapshots") == 1


def test_without_a_fitting_set_snapshots_are_created_and_the_scan_says_why(
    make_local_fleet: Callable[..., LocalFleet], image: Path
) -> None:
    fleet = make_local_fleet(HOURS)
    instance = fleet.cloud.add_instance("web", [image])
    fleet.settle()
    scan = fleet.scan()[instance]
    assert (scan.state, scan.source) == (State.DONE, "")
    events = fleet.control.store.scans.events(scan.id)
    details = [event.detail for event in events if event.what == "snapshots are created"]
    assert len(details) == 1
    assert "no snapshot of vol-" in details[0]


def test_the_second_scan_does_not_read_the_same_snapshots_again(
    make_local_fleet: Callable[..., LocalFleet], image: Path
) -> None:
    fleet = make_local_fleet(HOURS)
    instance = fleet.cloud.add_instance("web", [image])
    fleet.settle()
    back_up(fleet, instance)
    assert fleet.scan(leaves=True)[instance].source == "EXISTING"
    again = fleet.scan(leaves=True)[instance]
    assert (again.state, again.source) == (State.DONE, "")
    assert fleet.covered(instance).data_at is None


@pytest.mark.parametrize("code", ["AccessDeniedException", "ResourceNotFoundException"])
def test_existing_snapshots_that_cannot_be_read_are_replaced_by_new_ones(
    make_local_fleet: Callable[..., LocalFleet], image: Path, code: str
) -> None:
    fleet = make_local_fleet(HOURS)
    instance = fleet.cloud.add_instance("web", [image])
    fleet.settle()
    backups = back_up(fleet, instance)
    rule = Rule(FaultKind.ERROR, operation="ListSnapshotBlocks", code=code, status=403, times=1)
    fleet.cloud.plan = FaultPlan([rule])
    scan = fleet.scan(leaves=True)[instance]
    assert (scan.state, scan.source, scan.failure) == (State.DONE, "", "")
    events = {event.what for event in fleet.control.store.scans.events(scan.id)}
    assert "existing snapshots not used" in events
    assert fleet.cloud.answers("DeleteSnapshot") == 1
    assert fleet.cloud.snapshots() == backups


def test_a_snapshot_that_its_owner_deleted_meanwhile_is_replaced(
    make_local_fleet: Callable[..., LocalFleet], image: Path
) -> None:
    fleet = make_local_fleet(HOURS)
    instance = fleet.cloud.add_instance("web", [image])
    fleet.settle()
    (backup,) = back_up(fleet, instance)

    def retire() -> None:
        fleet.ec2().delete_snapshot(SnapshotId=backup)
        fleet.settle()

    fleet.before_stage[State.READING] = retire
    scan = fleet.scan()[instance]
    assert (scan.state, scan.source) == (State.DONE, "")


def test_only_existing_snapshots_leave_an_instance_without_them_unscanned(
    make_local_fleet: Callable[..., LocalFleet], image: Path
) -> None:
    fleet = make_local_fleet(ONLY)
    instance = fleet.cloud.add_instance("web", [image])
    fleet.settle()
    assert fleet.scan() == {}
    assert fleet.cloud.calls("CreateSnapshots") == 0
    covered = fleet.covered(instance)
    assert covered.scanned_at is None
    assert covered.detail.startswith("waiting for an existing snapshot: no snapshot of vol-")
    back_up(fleet, instance)
    assert fleet.scan(leaves=True)[instance].source == "EXISTING"


def test_only_existing_snapshots_fail_a_scan_that_may_not_read_them(
    make_local_fleet: Callable[..., LocalFleet], image: Path
) -> None:
    fleet = make_local_fleet(ONLY)
    instance = fleet.cloud.add_instance("web", [image])
    fleet.settle()
    backups = back_up(fleet, instance)
    fleet.cloud.plan = FaultPlan([Rule(FaultKind.ACCESS_DENIED, operation="ListSnapshotBlocks")])
    scan = fleet.scan(leaves=True)[instance]
    assert (scan.state, scan.failure_code) == (State.FAILED, "ACCESS_DENIED")
    assert fleet.cloud.answers("CreateSnapshots") == 1, "the owner's"
    assert fleet.cloud.snapshots() == backups
    assert fleet.covered(instance).status_code == "INACTIVE"


def test_a_snapshot_with_our_tags_is_neither_used_nor_deleted(
    make_local_fleet: Callable[..., LocalFleet], image: Path
) -> None:
    """Anyone may write our tags and our description on a snapshot of their own."""
    fleet = make_local_fleet(HOURS)
    instance = fleet.cloud.add_instance("web", [image])
    fleet.settle()
    deployment = fleet.control.deployment
    tags = {"InspectorScan": "0" * 32, "SidelightDeployment": deployment}
    backups = back_up(
        fleet,
        instance,
        TagSpecifications=[
            {
                "ResourceType": "snapshot",
                "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
            }
        ],
    )
    scan = fleet.scan(leaves=True)[instance]
    assert (scan.state, scan.source) == (State.DONE, "")
    assert fleet.cloud.snapshots() == backups
    (place,) = fleet.control.places((), ())
    assert fleet.control.sweeper.sweep(place).deleted == ()
    assert fleet.cloud.snapshots() == backups


def test_a_used_snapshot_that_gets_our_tags_is_never_deleted(
    make_local_fleet: Callable[..., LocalFleet], image: Path
) -> None:
    """While it is read, someone writes the tags of the scan on it: it is not in our tables."""
    fleet = make_local_fleet(HOURS)
    instance = fleet.cloud.add_instance("web", [image])
    fleet.settle()
    backups = back_up(fleet, instance)

    def tag() -> None:
        (scan,) = fleet.control.store.scans.select(live=True)
        own_tags = [
            {"Key": "InspectorScan", "Value": scan.id},
            {"Key": "SidelightDeployment", "Value": fleet.control.deployment},
        ]
        fleet.ec2().create_tags(Resources=backups, Tags=own_tags)
        fleet.settle()

    fleet.before_stage[State.READING] = tag
    scan = fleet.scan(leaves=True)[instance]
    assert (scan.state, scan.source) == (State.DONE, "EXISTING")
    assert fleet.control.store.scans.snapshots(scan.id) == []
    (place,) = fleet.control.places((), ())
    swept = fleet.control.sweeper.sweep(place)
    assert (swept.deleted, swept.orphans) == ((), ())
    assert [foreign.id for foreign in swept.foreign] == backups
    assert fleet.cloud.snapshots() == backups
    assert fleet.cloud.calls("DeleteSnapshot") == 0


def test_a_volume_that_was_replaced_since_the_choice_is_read_by_new_snapshots(
    make_local_fleet: Callable[..., LocalFleet], image: Path
) -> None:
    fleet = make_local_fleet(HOURS)
    instance = fleet.cloud.add_instance("web", [image])
    fleet.settle()
    back_up(fleet, instance)
    store = fleet.control.store

    def replace_volume() -> None:
        known = store.instances.instance("123456789012", instance)
        assert known is not None
        other = replace(known.volumes[0], id="vol-00000000000000001")
        store.instances.discovered(known.account, known.region, [replace(known, volumes=(other,))])

    fleet.before_stage[State.NEW] = replace_volume
    scan = fleet.scan(leaves=True)[instance]
    assert scan.source == ""
    assert "its volumes have changed since" in str(store.scans.events(scan.id))


def test_what_was_read_is_as_old_as_its_snapshots_for_a_day(
    make_local_fleet: Callable[..., LocalFleet], image: Path
) -> None:
    fleet = make_local_fleet(HOURS)
    instance = fleet.cloud.add_instance("web", [image])
    fleet.settle()
    back_up(fleet, instance)
    fleet.advance(timedelta(hours=25).total_seconds())
    assert fleet.scan(leaves=True)[instance].source == "", "too old by now"


@pytest.mark.parametrize("allowed", [False, True])
def test_the_roles_policy_decides_whether_existing_snapshots_are_read(
    organization: Organization,
    make_control: Callable[..., FleetService],
    image: Path,
    allowed: bool,
) -> None:
    """With `ReadOwnSnapshots` of target.yaml they are; without it scans create their own."""
    cloud, account = organization.cloud, organization.members[0]
    if allowed:
        policies = (*TARGET_POLICIES, "target-own-snapshots-policy")
        organization.attach(account, "SidelightTarget", policies)
    instance = cloud.add_instance("web", [image], account=account)
    cloud.clock.advance(10.0)
    response = organization.of("ec2", account).create_snapshots(
        InstanceSpecification={"InstanceId": instance}, Description="nightly"
    )
    backups = [one["SnapshotId"] for one in response["Snapshots"]]
    cloud.clock.advance(600.0)
    control = make_control(existing_snapshots_hours=24.0)
    clock: Any = control.store.clock
    clock.time = datetime.fromtimestamp(cloud.clock.now(), UTC)
    (place,) = control.places((account,), ("us-east-1",))
    (started,) = control.scans.start_scans(place, Configuration(), on_demand=True)
    run_all(control, cloud)
    scan = control.store.scans.get(started.id)
    assert (scan.state, scan.source) == (State.DONE, "EXISTING" if allowed else "")
    assert cloud.snapshots() == backups
    assert cloud.answers("CreateSnapshots") == (1 if allowed else 2), "one is the owner's"
