"""Snapshots of the local EC2: created, tagged, completed, copied, limited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.fixtures.local_clouds import ACCOUNT, BLOCK, code_of, take, write_blocks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mypy_boto3_ebs import EBSClient
    from mypy_boto3_ec2 import EC2Client

    from sidelight.localcloud.server import LocalCloud
    from tests.fixtures.local_clouds import Clients


pytestmark = pytest.mark.services

ABSENT = "snap-0123456789abcdef0"

SCAN = {"ResourceType": "snapshot", "Tags": [{"Key": "InspectorScan", "Value": "scan-1"}]}


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
