"""Listings of the local EC2: owners, shares, filters and pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.fixtures.local_clouds import ACCOUNT, code_of, take

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mypy_boto3_ec2 import EC2Client

    from sidelight.localcloud.server import LocalCloud
    from tests.fixtures.local_clouds import Clients


pytestmark = pytest.mark.services


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
