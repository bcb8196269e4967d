"""The local cloud refuses a role what its policies do not allow, with AWS's codes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from sidelight.localcloud.conditions import KIND
from sidelight.localcloud.server import LocalCloud
from tests.fixtures.iam_policies import DEPLOYMENT, filled_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.services
ACCOUNT = "123456789012"
SCANNER = "444455556666"
TAGS = {"SidelightDeployment": DEPLOYMENT, "InspectorScan": "abc"}


class Account:
    """An account with roles that have policies of deploy/iam."""

    def __init__(self, cloud: LocalCloud) -> None:
        self.cloud = cloud
        self.root = {"aws_access_key_id": ACCOUNT, "aws_secret_access_key": "local"}

    def client(self, service: str, credentials: dict[str, str] | None = None) -> Any:
        make: Any = boto3.client
        return make(
            service, endpoint_url=self.cloud.endpoint, region_name="us-east-1",
            **(credentials or self.root),
        )  # fmt: skip

    def role(self, name: str, *policies: str) -> dict[str, str]:
        """The credentials of a new role."""
        iam = self.client("iam")
        trust = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
        for policy in policies:
            text = json.dumps(filled_in(policy, AWS__AccountId=ACCOUNT, ScannerAccount=SCANNER))
            iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=text)
        session = self.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
        return {
            "aws_access_key_id": session["AccessKeyId"],
            "aws_secret_access_key": session["SecretAccessKey"],
            "aws_session_token": session["SessionToken"],
        }


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    with LocalCloud(tmp_path, conditions=replace(KIND, checks_policies=True)) as cloud:
        yield Account(cloud)


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "disk.img"
    path.write_bytes(bytes(1 << 20))
    return path


def snapshot(ec2: Any, instance: str, tags: dict[str, str] = TAGS) -> str:
    written = [{"Key": key, "Value": value} for key, value in tags.items()]
    specification = [{"ResourceType": "snapshot", "Tags": written}] if written else []
    answer = ec2.create_snapshots(
        InstanceSpecification={"InstanceId": instance}, TagSpecifications=specification
    )
    return str(answer["Snapshots"][0]["SnapshotId"])


def refusal(call: Any, **arguments: Any) -> str:
    """The error code of a call that has to be refused."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return str(caught.value.response["Error"]["Code"])


def test_a_scan_of_one_role_goes_through_and_foreign_snapshots_are_safe(
    account: Account, disk: Path
) -> None:
    instance = account.cloud.add_instance("web", [disk], account=ACCOUNT)
    credentials = account.role("target", "target-policy")
    ec2, ebs = account.client("ec2", credentials), account.client("ebs", credentials)
    own_snapshot = snapshot(ec2, instance)
    backup = snapshot(account.client("ec2"), instance, {"Name": "backup"})
    token = ebs.list_snapshot_blocks(SnapshotId=own_snapshot)["Blocks"]
    assert isinstance(token, list)
    assert refusal(ebs.list_snapshot_blocks, SnapshotId=backup) == "AccessDeniedException"
    assert refusal(ec2.delete_snapshot, SnapshotId=backup) == "UnauthorizedOperation"
    assert refusal(snapshot, ec2=ec2, instance=instance, tags={}) == "UnauthorizedOperation"
    tags = [{"Key": key, "Value": value} for key, value in TAGS.items()]
    tagging = refusal(ec2.create_tags, Resources=[backup], Tags=tags)
    assert tagging == "UnauthorizedOperation"
    ec2.delete_snapshot(SnapshotId=own_snapshot)
    assert account.cloud.snapshots() == [backup]


def test_an_excluded_instance_is_refused_with_an_explicit_deny(
    account: Account, disk: Path
) -> None:
    instance = account.cloud.add_instance(
        "db", [disk], account=ACCOUNT, tags={"InspectorEc2Exclusion": "true"}
    )
    ec2 = account.client("ec2", account.role("target", "target-policy"))
    with pytest.raises(ClientError, match="explicit deny"):
        snapshot(ec2, instance)
    assert account.cloud.snapshots() == []


def test_the_reader_reads_and_the_orchestrator_does_not(account: Account, disk: Path) -> None:
    instance = account.cloud.add_instance("web", [disk], account=ACCOUNT)
    orchestrator = account.role("orchestrator", "target-orchestrator-policy")
    reader = account.role("reader", "target-reader-policy")
    ec2 = account.client("ec2", orchestrator)
    own_snapshot = snapshot(ec2, instance)
    account.client("ebs", reader).list_snapshot_blocks(SnapshotId=own_snapshot)
    listing = account.client("ebs", orchestrator).list_snapshot_blocks
    assert refusal(listing, SnapshotId=own_snapshot) == "AccessDeniedException"
    reading = account.client("ec2", reader)
    assert refusal(reading.delete_snapshot, SnapshotId=own_snapshot) == "UnauthorizedOperation"
    assert refusal(snapshot, ec2=reading, instance=instance) == "UnauthorizedOperation"
    assert refusal(reading.describe_instances) == "UnauthorizedOperation"
    assert reading.describe_snapshots(SnapshotIds=[own_snapshot])["Snapshots"]


def test_no_share_goes_to_all_or_to_another_account(account: Account, disk: Path) -> None:
    instance = account.cloud.add_instance("web", [disk], account=ACCOUNT)
    credentials = account.role("target", "target-policy", "target-sharing-policy")
    ec2 = account.client("ec2", credentials)
    own_snapshot = snapshot(ec2, instance)

    def share(**arguments: Any) -> None:
        ec2.modify_snapshot_attribute(
            SnapshotId=own_snapshot, Attribute="createVolumePermission", **arguments
        )

    for arguments in (
        {"CreateVolumePermission": {"Add": [{"Group": "all"}]}},
        {"CreateVolumePermission": {"Add": [{"UserId": SCANNER}, {"Group": "all"}]}},
        {"OperationType": "add", "GroupNames": ["all"]},
        {"OperationType": "add", "UserIds": ["999999999999"]},
        {"CreateVolumePermission": {"Add": [{"UserId": SCANNER}, {"UserId": "999999999999"}]}},
    ):
        assert refusal(share, **arguments) == "UnauthorizedOperation", arguments
    share(CreateVolumePermission={"Add": [{"UserId": SCANNER}]})


def test_a_key_with_the_exclusion_tag_decrypts_nothing(account: Account, disk: Path) -> None:
    kms = account.client("kms")
    tagged = [{"TagKey": "InspectorEc2Exclusion", "TagValue": "true"}]
    keys = [kms.create_key(Tags=tags)["KeyMetadata"]["Arn"] for tags in ([], tagged)]
    credentials = account.role("target", "target-policy")
    ec2, ebs = account.client("ec2", credentials), account.client("ebs", credentials)
    open_key, excluded_key = (
        snapshot(ec2, account.cloud.add_instance(
            name, [disk], account=ACCOUNT, encrypted=True, kms_key_id=key))
        for name, key in zip(("a", "b"), keys, strict=True)
    )  # fmt: skip
    ebs.list_snapshot_blocks(SnapshotId=open_key)
    assert refusal(ebs.list_snapshot_blocks, SnapshotId=excluded_key) == "AccessDeniedException"


def test_a_role_without_policies_is_not_limited_here(account: Account) -> None:
    account.client("ec2", account.role("plain")).describe_instances()
