"""What AWS shows late: snapshots, tags, shares, grants, roles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from sidelight.localcloud.conditions import Conditions, Lag
from tests.fixtures.local_clouds import ACCOUNT, take
from tests.localcloud.refused_calls import OTHER, refused

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sidelight.localcloud.server import LocalCloud
    from tests.fixtures.local_clouds import Clients


pytestmark = pytest.mark.services

SCAN = {"ResourceType": "snapshot", "Tags": [{"Key": "InspectorScan", "Value": "scan-1"}]}


def test_each_connection_learns_of_a_completed_snapshot_in_its_own_time(
    make_cloud: Callable[..., LocalCloud], clients: Callable[[LocalCloud], Clients], image: Path
) -> None:
    cloud = make_cloud(conditions=Conditions(ebs_lag=Lag(60.0)), seed=3)
    snapshot = take(clients(cloud)("ec2"), cloud, cloud.add_instance("web", [image]))
    readers = [clients(cloud)("ebs") for _ in range(8)]
    refusals: set[tuple[str, str]] = set()

    def sees(reader: Any) -> bool:
        try:
            reader.list_snapshot_blocks(SnapshotId=snapshot)
        except ClientError as error:
            answer: Any = error.response
            refusals.add((answer["Error"]["Code"], answer["Reason"]))
            return False
        return True

    seen = []
    for _ in range(7):
        seen.append([sees(reader) for reader in readers])
        cloud.clock.advance(10)
    counts = [sum(row) for row in seen]
    assert counts == sorted(counts)  # a connection that sees it goes on seeing it
    assert any(0 < count < 8 for count in counts)  # one succeeds while another does not
    assert counts[-1] == 8
    assert refusals == {("ResourceNotFoundException", "SNAPSHOT_NOT_FOUND")}


def test_the_condition_on_a_tag_denies_until_the_tag_has_arrived(
    make_cloud: Callable[..., LocalCloud], clients: Callable[[LocalCloud], Clients], image: Path
) -> None:
    cloud = make_cloud(conditions=Conditions(tag_lag=Lag(values=(30.0,))))
    ec2, ebs = clients(cloud)("ec2"), clients(cloud)("ebs")
    instance = cloud.add_instance("web", [image])
    (tagged,) = ec2.create_snapshots(
        InstanceSpecification={"InstanceId": instance}, TagSpecifications=[SCAN]
    )["Snapshots"]
    code, message, status = refused(
        lambda: ebs.list_snapshot_blocks(SnapshotId=tagged["SnapshotId"])
    )
    assert (code, status) == ("AccessDeniedException", 403)
    assert message.endswith(f"on resource: arn:aws:ec2:us-east-1::snapshot/{tagged['SnapshotId']}")
    cloud.clock.advance(31)
    assert ebs.list_snapshot_blocks(SnapshotId=tagged["SnapshotId"])["Blocks"]


def test_a_new_snapshot_is_unknown_to_every_call_of_ec2_for_a_moment(
    make_cloud: Callable[..., LocalCloud], clients: Callable[[LocalCloud], Clients], image: Path
) -> None:
    cloud = make_cloud(conditions=Conditions(describe_lag=Lag(values=(5.0,))))
    ec2 = clients(cloud)("ec2")
    instance = cloud.add_instance("web", [image])
    code, message, _ = refused(
        lambda: ec2.create_snapshots(InstanceSpecification={"InstanceId": instance})
    )
    assert code == "InvalidInstanceID.NotFound"
    cloud.clock.advance(6)
    snapshot = take(ec2, cloud, instance)
    share = {"Add": [{"UserId": OTHER}]}
    for call in (
        lambda: ec2.describe_snapshots(SnapshotIds=[snapshot]),
        lambda: ec2.delete_snapshot(SnapshotId=snapshot),
        lambda: ec2.modify_snapshot_attribute(SnapshotId=snapshot, CreateVolumePermission=share),
    ):
        code, message, _ = refused(call)
        assert code == "InvalidSnapshot.NotFound"
        assert message == f"The snapshot '{snapshot}' does not exist."
    filters = [{"Name": "volume-id", "Values": list(cloud.volumes(instance).values())}]
    assert ec2.describe_snapshots(Filters=filters)["Snapshots"] == []
    cloud.clock.advance(6)
    assert len(ec2.describe_snapshots(Filters=filters)["Snapshots"]) == 1
    ec2.delete_snapshot(SnapshotId=snapshot)


def test_a_share_arrives_late_as_absent_or_as_denied(
    make_cloud: Callable[..., LocalCloud], clients: Callable[[LocalCloud], Clients], image: Path
) -> None:
    cloud = make_cloud(conditions=Conditions(share_lag=Lag(values=(60.0,))))
    ec2, other = clients(cloud)("ec2"), clients(cloud)("ebs", account=OTHER)
    codes = set()
    for number in range(8):
        snapshot = take(ec2, cloud, cloud.add_instance(f"m{number}", [image], immutable=True))
        ec2.modify_snapshot_attribute(
            SnapshotId=snapshot, CreateVolumePermission={"Add": [{"UserId": OTHER}]}
        )
        codes.add(refused(lambda: other.list_snapshot_blocks(SnapshotId=snapshot))[0])  # noqa: B023
    assert codes == {"ResourceNotFoundException", "AccessDeniedException"}
    cloud.clock.advance(61)
    assert other.list_snapshot_blocks(SnapshotId=snapshot)["Blocks"]


def test_a_pending_snapshot_cannot_be_shared_yet(
    make_cloud: Callable[..., LocalCloud], clients: Callable[[LocalCloud], Clients], image: Path
) -> None:
    cloud = make_cloud(conditions=Conditions(snapshot_seconds=60, shares_completed_only=True))
    ec2 = clients(cloud)("ec2")
    snapshot = take(ec2, cloud, cloud.add_instance("web", [image]))
    share = {"Add": [{"UserId": OTHER}]}
    code, message, _ = refused(
        lambda: ec2.modify_snapshot_attribute(SnapshotId=snapshot, CreateVolumePermission=share)
    )
    assert (code, message) == ("IncorrectState", f"Snapshot '{snapshot}' is not 'completed'.")
    cloud.clock.advance(61)
    ec2.modify_snapshot_attribute(SnapshotId=snapshot, CreateVolumePermission=share)


def test_a_grant_counts_only_when_it_has_arrived(
    make_cloud: Callable[..., LocalCloud], clients: Callable[[LocalCloud], Clients], image: Path
) -> None:
    cloud = make_cloud(conditions=Conditions(grant_lag=Lag(values=(120.0,))))
    ec2, kms = clients(cloud)("ec2"), clients(cloud)("kms")
    other = clients(cloud)("ebs", account=OTHER)
    key = kms.create_key()["KeyMetadata"]["Arn"]
    instance = cloud.add_instance("web", [image], encrypted=True, kms_key_id=key)
    snapshot = take(ec2, cloud, instance)
    ec2.modify_snapshot_attribute(
        SnapshotId=snapshot, CreateVolumePermission={"Add": [{"UserId": OTHER}]}
    )
    principal = f"arn:aws:iam::{OTHER}:root"
    kms.create_grant(KeyId=key, GranteePrincipal=principal, Operations=["Decrypt"])
    block = other.list_snapshot_blocks(SnapshotId=snapshot)["Blocks"][0]
    assert (
        refused(lambda: other.get_snapshot_block(SnapshotId=snapshot, **block))[0]
        == "AccessDeniedException"
    )
    cloud.clock.advance(121)
    assert other.get_snapshot_block(SnapshotId=snapshot, **block)["DataLength"]


def test_a_new_role_cannot_be_assumed_for_a_moment(
    make_cloud: Callable[..., LocalCloud], clients: Callable[[LocalCloud], Clients]
) -> None:
    cloud = make_cloud(conditions=Conditions(strict_roles=True, iam_lag=Lag(values=(15.0,))))
    policy = (
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",'
        f' "Principal": {{"AWS": "arn:aws:iam::{ACCOUNT}:root"}}}}]}}'
    )
    clients(cloud)("iam", account=OTHER).create_role(
        RoleName="reader", AssumeRolePolicyDocument=policy
    )
    sts, arn = clients(cloud)("sts"), f"arn:aws:iam::{OTHER}:role/reader"

    def assume() -> Any:
        return sts.assume_role(RoleArn=arn, RoleSessionName="me")

    assert refused(assume)[0] == "AccessDenied"
    cloud.clock.advance(16)
    assert assume()["Credentials"]
