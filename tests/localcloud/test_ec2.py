"""EC2's snapshots by a real client."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.fixtures.local_clouds import code_of, take

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import InstanceTypeDef

    from sidelight.localcloud.server import LocalCloud


pytestmark = pytest.mark.services


def test_instances_show_their_volumes_by_the_usual_calls(
    cloud: LocalCloud, ec2: EC2Client, image: Path, second: Path
) -> None:
    instance = cloud.add_instance("web", [image, second], tags={"team": "a"}, volume_type="gp2")
    assert cloud.add_instance("db", {"/dev/xvda": image}) != instance
    (found,) = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"]
    devices = {b["DeviceName"]: b["Ebs"]["VolumeId"] for b in found["BlockDeviceMappings"]}
    assert devices == cloud.volumes(instance)
    assert found["RootDeviceName"] == "/dev/sda1"
    assert found["RootDeviceType"] == "ebs"
    assert {t["Key"]: t["Value"] for t in found["Tags"]} == {"Name": "web", "team": "a"}
    volumes = ec2.describe_volumes(VolumeIds=list(devices.values()))["Volumes"]
    assert sorted((v["Size"], v["VolumeType"]) for v in volumes) == [(2, "gp2"), (3, "gp2")]
    assert {v["Attachments"][0]["InstanceId"] for v in volumes} == {instance}


@pytest.mark.parametrize("state", ["running", "stopped", "terminated"])
def test_instances_come_in_the_state_asked_for(
    cloud: LocalCloud, ec2: EC2Client, image: Path, state: str
) -> None:
    instance = cloud.add_instance("web", [image], state=state)
    (found,) = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"]
    assert found["State"]["Name"] == state


def test_times_are_by_the_local_clouds_own_clock(
    cloud: LocalCloud, ec2: EC2Client, image: Path
) -> None:
    def now() -> datetime:
        return datetime.fromtimestamp(int(cloud.clock.now()), UTC)

    def found() -> InstanceTypeDef:
        return ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]

    cloud.clock.advance(86400.0)
    launched = now()
    instance = cloud.add_instance("web", [image])
    (volume,) = ec2.describe_volumes(VolumeIds=list(cloud.volumes(instance).values()))["Volumes"]
    assert found()["LaunchTime"] >= launched
    assert found()["BlockDeviceMappings"][0]["Ebs"]["AttachTime"] >= launched
    assert min(volume["CreateTime"], volume["Attachments"][0]["AttachTime"]) >= launched
    cloud.clock.advance(3600.0)
    stopped = now()
    ec2.stop_instances(InstanceIds=[instance])
    text = found()["StateTransitionReason"].partition("(")[2]
    assert datetime.strptime(text, "%Y-%m-%d %H:%M:%S %Z)").replace(tzinfo=UTC) >= stopped
    assert found()["LaunchTime"] < stopped
    cloud.clock.advance(3600.0)
    started = now()
    ec2.start_instances(InstanceIds=[instance])
    assert found()["LaunchTime"] >= started


def test_there_is_nothing_at_first(ec2: EC2Client) -> None:
    assert ec2.describe_snapshots()["Snapshots"] == []
    assert ec2.describe_instances()["Reservations"] == []
    assert ec2.describe_images()["Images"] == []


def test_deleting_twice_is_not_found(cloud: LocalCloud, ec2: EC2Client, image: Path) -> None:
    snapshot = take(ec2, cloud, cloud.add_instance("web", [image]))
    ec2.create_tags(Resources=[snapshot], Tags=[{"Key": "a", "Value": "1"}])
    ec2.delete_snapshot(SnapshotId=snapshot)
    calls: list[Callable[[], object]] = [
        lambda: ec2.delete_snapshot(SnapshotId=snapshot),
        lambda: ec2.describe_snapshots(SnapshotIds=[snapshot]),
        lambda: ec2.describe_snapshot_attribute(
            SnapshotId=snapshot, Attribute="createVolumePermission"
        ),
    ]
    for call in calls:
        with pytest.raises(ClientError) as error:
            call()
        assert code_of(error)[0] == "InvalidSnapshot.NotFound"
    assert snapshot not in {tag["ResourceId"] for tag in ec2.describe_tags()["Tags"]}


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda e: e.delete_snapshot(SnapshotId="snap-x"), "InvalidSnapshotID.Malformed"),
        (lambda e: e.describe_snapshots(SnapshotIds=["x"]), "InvalidSnapshotID.Malformed"),
        (lambda e: e.create_snapshot(VolumeId="vol-12345678"), "InvalidVolume.NotFound"),
        (lambda e: e.create_snapshot(VolumeId="x"), "InvalidParameterValue"),
        (
            lambda e: e.create_snapshots(InstanceSpecification={"InstanceId": "i-12345678"}),
            "InvalidInstanceID.NotFound",
        ),
        (
            lambda e: e.create_snapshots(InstanceSpecification={"InstanceId": "x"}),
            "InvalidInstanceID.Malformed",
        ),
    ],
)
def test_what_does_not_exist(ec2: EC2Client, call: Callable[[EC2Client], Any], code: str) -> None:
    with pytest.raises(ClientError) as error:
        call(ec2)
    assert code_of(error)[0] == code


def test_a_terminated_instance_is_in_the_wrong_state(
    cloud: LocalCloud, ec2: EC2Client, image: Path
) -> None:
    instance = cloud.add_instance("web", [image], state="terminated")
    with pytest.raises(ClientError) as error:
        ec2.create_snapshots(InstanceSpecification={"InstanceId": instance})
    assert code_of(error)[0] == "IncorrectState"


def test_a_dry_run_does_nothing(cloud: LocalCloud, ec2: EC2Client, image: Path) -> None:
    instance = cloud.add_instance("web", [image])
    kept = take(ec2, cloud, instance)
    calls: list[Callable[[], object]] = [
        lambda: ec2.create_snapshots(InstanceSpecification={"InstanceId": instance}, DryRun=True),
        lambda: ec2.create_snapshot(VolumeId=cloud.volumes(instance)["/dev/sda1"], DryRun=True),
        lambda: ec2.delete_snapshot(SnapshotId=kept, DryRun=True),
        lambda: ec2.describe_snapshots(DryRun=True),
    ]
    for call in calls:
        with pytest.raises(ClientError) as error:
            call()
        assert code_of(error)[0] == "DryRunOperation"
    assert cloud.snapshots() == [kept]


def test_an_instance_without_volumes_has_an_instance_store(
    cloud: LocalCloud, ec2: EC2Client
) -> None:
    instance = cloud.add_instance("bare", [])
    (found,) = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"]
    assert found["RootDeviceType"] == "instance-store"
    assert found["BlockDeviceMappings"] == []
