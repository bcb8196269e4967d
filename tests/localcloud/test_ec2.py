"""EC2's snapshots by a real client."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.fixtures.local_clouds import ACCOUNT, BLOCK, code_of, take, write_blocks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mypy_boto3_ebs import EBSClient
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import InstanceTypeDef

    from sidelight.localcloud.server import LocalCloud
    from tests.fixtures.local_clouds import Clients

pytestmark = pytest.mark.services

ABSENT = "snap-0123456789abcdef0"
SCAN = {"ResourceType": "snapshot", "Tags": [{"Key": "InspectorScan", "Value": "scan-1"}]}


@pytest.fixture
def second(tmp_path: Path) -> Path:
    """A data disk of 3 GiB."""
    path = tmp_path / "data.img"
    write_blocks(path, 3 << 30, {9: b"data"})
    return path


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


def test_all_volumes_of_an_instance_are_taken_with_tags(
    cloud: LocalCloud, ec2: EC2Client, image: Path, second: Path
) -> None:
    instance = cloud.add_instance("web", [image, second])
    answer = ec2.create_snapshots(
        InstanceSpecification={"InstanceId": instance},
        Description="why",
        TagSpecifications=[SCAN],  # type: ignore[list-item] # a literal for a TypedDict
    )["Snapshots"]
    assert {s["VolumeId"]: s["VolumeSize"] for s in answer} == dict(
        zip(cloud.volumes(instance).values(), (2, 3), strict=True)
    )
    for one in answer:
        assert one["State"] == "pending"
        assert one["Progress"] == ""
        assert one["OwnerId"] == ACCOUNT
        assert one["Description"] == "why"
        assert one["Tags"] == SCAN["Tags"]


def test_volumes_can_be_left_out(
    cloud: LocalCloud, ec2: EC2Client, image: Path, second: Path
) -> None:
    instance = cloud.add_instance("web", [image, second])
    root, data = cloud.volumes(instance).values()

    def taken(**spec: Any) -> list[str]:
        spec["InstanceId"] = instance
        answer = ec2.create_snapshots(InstanceSpecification=spec)  # type: ignore[arg-type] # a TypedDict
        return [one["VolumeId"] for one in answer["Snapshots"]]

    assert taken(ExcludeDataVolumeIds=[data]) == [root]
    assert taken(ExcludeBootVolume=True) == [data]
    with pytest.raises(ClientError) as error:
        taken(ExcludeDataVolumeIds=[root])
    assert code_of(error)[0] == "InvalidParameterValue"
    with pytest.raises(ClientError) as error:
        taken(ExcludeBootVolume=True, ExcludeDataVolumeIds=[data])
    assert code_of(error)[0] == "InvalidParameterCombination"
    assert len(cloud.snapshots()) == 2


def test_a_snapshot_is_the_volume_at_that_moment(
    cloud: LocalCloud, ec2: EC2Client, ebs: EBSClient, image: Path
) -> None:
    instance = cloud.add_instance("web", [image])
    before = take(ec2, cloud, instance)
    write_blocks(image, (1 << 30) + 1000, {0: b"ZERO", 1: b"one"})
    after = take(ec2, cloud, instance)

    def first_bytes(snapshot: str) -> dict[int, bytes]:
        return {
            block["BlockIndex"]: ebs.get_snapshot_block(SnapshotId=snapshot, **block)[
                "BlockData"
            ].read(4)
            for block in ebs.list_snapshot_blocks(SnapshotId=snapshot)["Blocks"][:2]
        }

    assert first_bytes(before) == {0: b"zero", 3: b"thre"}
    assert first_bytes(after) == {0: b"ZERO", 1: b"one\0"}


def test_tags_of_the_volume_come_along_when_asked(
    cloud: LocalCloud, ec2: EC2Client, image: Path
) -> None:
    instance = cloud.add_instance("web", [image], volume_tags={"team": "a"})
    (one,) = ec2.create_snapshots(
        InstanceSpecification={"InstanceId": instance},
        CopyTagsFromSource="volume",
        TagSpecifications=[SCAN],  # type: ignore[list-item] # a literal for a TypedDict
    )["Snapshots"]
    tags = {tag["Key"]: tag["Value"] for tag in one["Tags"]}
    assert tags == {"team": "a", "InspectorScan": "scan-1"}


def test_tags_may_be_set_and_removed_later(cloud: LocalCloud, ec2: EC2Client, image: Path) -> None:
    snapshot = take(ec2, cloud, cloud.add_instance("web", [image]))
    ec2.create_tags(Resources=[snapshot], Tags=[{"Key": "a", "Value": "1"}])
    (one,) = ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"]
    assert one["Tags"] == [{"Key": "a", "Value": "1"}]
    ec2.delete_tags(Resources=[snapshot], Tags=[{"Key": "a"}])
    (one,) = ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"]
    assert one.get("Tags", []) == []
    with pytest.raises(ClientError) as error:
        ec2.create_tags(Resources=[ABSENT], Tags=[{"Key": "a", "Value": "1"}])
    assert code_of(error)[0] == "InvalidSnapshot.NotFound"


def test_tags_are_for_snapshots_only(cloud: LocalCloud, ec2: EC2Client, image: Path) -> None:
    instance = cloud.add_instance("web", [image])
    with pytest.raises(ClientError) as error:
        ec2.create_snapshot(
            VolumeId=cloud.volumes(instance)["/dev/sda1"],
            TagSpecifications=[
                {"ResourceType": "volume", "Tags": [{"Key": "a", "Value": "b"}]},
            ],
        )
    assert code_of(error)[0] == "InvalidParameterValue"
    assert cloud.snapshots() == []


def test_pending_becomes_completed_with_time(
    make_cloud: Callable[..., LocalCloud],
    clients: Callable[[LocalCloud], Clients],
    image: Path,
) -> None:
    cloud = make_cloud(snapshot_seconds=100)
    ec2 = clients(cloud)("ec2")
    snapshot = take(ec2, cloud, cloud.add_instance("web", [image]))

    def seen() -> tuple[str, int]:
        (one,) = ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"]
        return one["State"], int(one["Progress"].rstrip("%"))

    state, progress = seen()
    assert state == "pending"
    assert progress < 50
    cloud.clock.advance(60)
    state, progress = seen()
    assert state == "pending"
    assert 59 <= progress < 100
    cloud.clock.advance(41)
    assert seen() == ("completed", 100)


def test_describe_honours_owners_and_shares(
    cloud: LocalCloud, ec2: EC2Client, clients: Callable[[LocalCloud], Clients], image: Path
) -> None:
    own_snapshot = take(ec2, cloud, cloud.add_instance("web", [image]))
    ec2.create_tags(Resources=[own_snapshot], Tags=[{"Key": "a", "Value": "1"}])
    other = clients(cloud)("ec2", account="999999999999")
    other_snapshot = take(other, cloud, cloud.add_instance("web", [image], account="999999999999"))

    def seen(client: Any, **arguments: Any) -> list[str]:
        return [s["SnapshotId"] for s in client.describe_snapshots(**arguments)["Snapshots"]]

    assert seen(ec2) == [own_snapshot]
    assert seen(other) == [other_snapshot]
    ec2.modify_snapshot_attribute(
        SnapshotId=own_snapshot, CreateVolumePermission={"Add": [{"UserId": "999999999999"}]}
    )
    assert sorted(seen(other)) == sorted([own_snapshot, other_snapshot])
    assert seen(other, OwnerIds=["self"]) == [other_snapshot]
    assert seen(other, OwnerIds=[ACCOUNT]) == [own_snapshot]
    assert seen(other, OwnerIds=["amazon"]) == []
    assert seen(ec2, RestorableByUserIds=["999999999999"]) == [own_snapshot]
    shared = other.describe_snapshots(SnapshotIds=[own_snapshot])["Snapshots"][0]
    assert (shared["OwnerId"], shared.get("Tags", [])) == (ACCOUNT, [])
    permissions = ec2.describe_snapshot_attribute(
        SnapshotId=own_snapshot, Attribute="createVolumePermission"
    )["CreateVolumePermissions"]
    assert permissions == [{"UserId": "999999999999"}]
    ec2.modify_snapshot_attribute(
        SnapshotId=own_snapshot, OperationType="remove", UserIds=["999999999999"]
    )
    assert seen(other) == [other_snapshot]
    with pytest.raises(ClientError) as error:
        other.delete_snapshot(SnapshotId=own_snapshot)
    assert code_of(error)[0] == "InvalidSnapshot.NotFound"


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("tag:InspectorScan", ["scan-1"], 1),
        ("tag:InspectorScan", ["scan-?"], 2),
        ("tag:InspectorScan", ["scan-[12]"], 0),
        ("tag:Inspector", ["*"], 0),
        ("tag-key", ["InspectorScan"], 2),
        ("tag-key", ["Inspector*", "x"], 2),
        ("status", ["completed"], 3),
        ("status", ["pending"], 0),
        ("owner-id", [ACCOUNT], 3),
        ("owner-id", ["1"], 0),
        ("volume-size", ["2"], 3),
        ("encrypted", ["false"], 3),
        ("description", ["third*"], 1),
    ],
)
def test_filters(  # noqa: PLR0917 - pytest passes them by name
    cloud: LocalCloud, ec2: EC2Client, image: Path, name: str, values: list[str], expected: int
) -> None:
    volume = cloud.volumes(cloud.add_instance("web", [image]))["/dev/sda1"]
    for number, word in ((1, "first"), (2, "second"), (0, "third")):
        tags = [{"Key": "InspectorScan", "Value": f"scan-{number}"}] if number else []
        snapshot = ec2.create_snapshot(VolumeId=volume, Description=word)["SnapshotId"]
        if tags:
            ec2.create_tags(Resources=[snapshot], Tags=tags)  # type: ignore[arg-type] # a TypedDict
    found = ec2.describe_snapshots(Filters=[{"Name": name, "Values": values}])["Snapshots"]
    assert len(found) == expected


def test_filters_join_and_an_unknown_one_is_an_error(
    cloud: LocalCloud, ec2: EC2Client, image: Path
) -> None:
    instance = cloud.add_instance("web", [image])
    snapshot = take(ec2, cloud, instance)
    volume = cloud.volumes(instance)["/dev/sda1"]
    both = [{"Name": "volume-id", "Values": [volume]}, {"Name": "status", "Values": ["pending"]}]
    assert ec2.describe_snapshots(Filters=both)["Snapshots"] == []  # type: ignore[arg-type] # a TypedDict
    assert [
        s["SnapshotId"]
        for s in ec2.describe_snapshots(Filters=both[:1])["Snapshots"]  # type: ignore[arg-type] # a TypedDict
    ] == [snapshot]
    with pytest.raises(ClientError) as error:
        ec2.describe_snapshots(Filters=[{"Name": "colour", "Values": ["red"]}])
    assert code_of(error)[0] == "InvalidParameterValue"


def test_describe_comes_in_pages(cloud: LocalCloud, ec2: EC2Client, image: Path) -> None:
    instance = cloud.add_instance("web", [image], immutable=True)
    snapshots = sorted(take(ec2, cloud, instance) for _ in range(12))
    pages = list(ec2.get_paginator("describe_snapshots").paginate(PaginationConfig={"PageSize": 5}))
    assert [len(page["Snapshots"]) for page in pages] == [5, 5, 2]
    assert sorted(s["SnapshotId"] for page in pages for s in page["Snapshots"]) == snapshots
    for arguments in ({"MaxResults": 4}, {"MaxResults": 1001}):
        with pytest.raises(ClientError) as error:
            ec2.describe_snapshots(**arguments)  # type: ignore[arg-type] # only MaxResults
        assert code_of(error)[0] == "InvalidParameterValue"
    with pytest.raises(ClientError) as error:
        ec2.describe_snapshots(NextToken="nonsense")
    assert code_of(error)[0] == "InvalidNextToken"
    with pytest.raises(ClientError) as error:
        ec2.describe_snapshots(SnapshotIds=snapshots[:1], MaxResults=5)
    assert code_of(error)[0] == "InvalidParameterCombination"


def test_a_page_goes_on_where_it_was_though_snapshots_went(
    cloud: LocalCloud, ec2: EC2Client, image: Path
) -> None:
    instance = cloud.add_instance("web", [image], immutable=True)
    for _ in range(12):
        take(ec2, cloud, instance)
    first = ec2.describe_snapshots(MaxResults=5)
    gone = [s["SnapshotId"] for s in first["Snapshots"]]
    for snapshot in gone:
        ec2.delete_snapshot(SnapshotId=snapshot)
    rest = ec2.describe_snapshots(MaxResults=1000, NextToken=first["NextToken"])["Snapshots"]
    assert sorted(s["SnapshotId"] for s in rest) == cloud.snapshots()


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


@pytest.mark.parametrize(("kind", "limit"), [("gp3", 5), ("st1", 1), ("sc1", 1)])
def test_snapshots_under_way_are_limited_and_deleted_ones_count(
    make_cloud: Callable[..., LocalCloud],
    clients: Callable[[LocalCloud], Clients],
    image: Path,
    kind: str,
    limit: int,
) -> None:
    cloud = make_cloud(snapshot_seconds=100)
    ec2 = clients(cloud)("ec2")
    instance = cloud.add_instance("web", [image], volume_type=kind, immutable=True)
    for _ in range(limit):
        ec2.delete_snapshot(SnapshotId=take(ec2, cloud, instance))
    for call in (
        lambda: take(ec2, cloud, instance),
        lambda: ec2.create_snapshots(InstanceSpecification={"InstanceId": instance}),
    ):
        with pytest.raises(ClientError) as error:
            call()
        assert code_of(error)[0] == "ConcurrentSnapshotLimitExceeded"
    cloud.clock.advance(101)
    take(ec2, cloud, instance)


def test_one_volume_too_busy_means_no_snapshot_of_the_instance(
    make_cloud: Callable[..., LocalCloud],
    clients: Callable[[LocalCloud], Clients],
    image: Path,
    second: Path,
) -> None:
    cloud = make_cloud(snapshot_seconds=100)
    ec2 = clients(cloud)("ec2")
    instance = cloud.add_instance("web", [image, second], volume_type="st1", immutable=True)
    take(ec2, cloud, instance, "/dev/sdb")
    with pytest.raises(ClientError) as error:
        ec2.create_snapshots(InstanceSpecification={"InstanceId": instance})
    assert code_of(error)[0] == "ConcurrentSnapshotLimitExceeded"
    assert len(cloud.snapshots()) == 1


def test_one_image_gone_means_no_snapshot_of_the_instance(
    cloud: LocalCloud, ec2: EC2Client, image: Path, second: Path
) -> None:
    instance = cloud.add_instance("web", [image, second])
    second.unlink()
    with pytest.raises(ClientError) as error:
        ec2.create_snapshots(InstanceSpecification={"InstanceId": instance})
    assert code_of(error)[0] == "InternalError"
    assert cloud.snapshots() == []


def test_an_instance_without_volumes_has_an_instance_store(
    cloud: LocalCloud, ec2: EC2Client
) -> None:
    instance = cloud.add_instance("bare", [])
    (found,) = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"]
    assert found["RootDeviceType"] == "instance-store"
    assert found["BlockDeviceMappings"] == []


def test_concurrent_snapshots_may_have_to_lie_apart(
    make_cloud: Callable[..., LocalCloud],
    clients: Callable[[LocalCloud], Clients],
    image: Path,
) -> None:
    cloud = make_cloud(snapshot_seconds=100, snapshot_interval=15)
    ec2 = clients(cloud)("ec2")
    instance = cloud.add_instance("web", [image], immutable=True)
    take(ec2, cloud, instance)
    cloud.clock.advance(10)
    with pytest.raises(ClientError) as error:
        take(ec2, cloud, instance)
    assert code_of(error)[0] == "SnapshotCreationPerVolumeRateExceeded"
    cloud.clock.advance(6)
    take(ec2, cloud, instance)


def test_a_copy_in_another_region_has_the_same_blocks(
    make_cloud: Callable[..., LocalCloud],
    clients: Callable[[LocalCloud], Clients],
    image: Path,
) -> None:
    cloud = make_cloud(snapshot_seconds=10)
    ec2, far = clients(cloud)("ec2"), clients(cloud)("ec2", region="eu-west-1")
    source = take(ec2, cloud, cloud.add_instance("web", [image]))

    def copy() -> str:
        snapshot_id: str = far.copy_snapshot(SourceSnapshotId=source, SourceRegion="us-east-1")[
            "SnapshotId"
        ]
        return snapshot_id

    with pytest.raises(ClientError) as error:
        copy()
    assert code_of(error)[0] == "IncorrectState"
    cloud.clock.advance(11)
    copied = copy()
    ec2.delete_snapshot(SnapshotId=source)
    cloud.clock.advance(11)
    blocks = clients(cloud)("ebs", region="eu-west-1").list_snapshot_blocks(SnapshotId=copied)
    assert [b["BlockIndex"] for b in blocks["Blocks"]] == [0, 3, 4, 2048]


def test_a_volume_made_of_a_snapshot_has_its_bytes_even_after_it_went(
    cloud: LocalCloud, ec2: EC2Client, ebs: EBSClient, image: Path
) -> None:
    source = take(ec2, cloud, cloud.add_instance("web", [image]))
    volume = ec2.create_volume(SnapshotId=source, AvailabilityZone="us-east-1a")["VolumeId"]
    ec2.delete_snapshot(SnapshotId=source)
    again = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    blocks = ebs.list_snapshot_blocks(SnapshotId=again)["Blocks"]
    assert [block["BlockIndex"] for block in blocks] == [0, 3, 4, 2048]


def test_a_volume_without_an_image_has_no_blocks(ec2: EC2Client, ebs: EBSClient) -> None:
    volume = ec2.create_volume(Size=5, AvailabilityZone="us-east-1a")["VolumeId"]
    snapshot = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    page = ebs.list_snapshot_blocks(SnapshotId=snapshot)
    assert page["Blocks"] == []
    assert page["VolumeSize"] == 5
    assert page["BlockSize"] == BLOCK
