"""`sidelight doctor` decides by IAM's simulation what it cannot try, as a scan would find it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner

from dispatcher.cli.root import sidelight
from sidelight.aws.policy_simulation import BOUNDARY, ORGANIZATION, decision
from sidelight.localcloud.conditions import KIND
from sidelight.localcloud.server import LocalCloud
from tests.fixtures.iam_policies import DEPLOYMENT, filled_in
from tests.fixtures.local_clouds import make_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

services = pytest.mark.services
ACCOUNT, SCANNER = "123456789012", "444455556666"
HUB = f"arn:aws:iam::{ACCOUNT}:role/SidelightScanner"
ROLE = "SidelightTarget"
SIMULATE = "iam:SimulatePrincipalPolicy"
TAGS = {"SidelightDeployment": DEPLOYMENT, "InspectorScan": "abc"}
WRITTEN = [{"Key": key, "Value": value} for key, value in TAGS.items()]
# Actions that the doctor decides by simulation, of scans in place.
DECIDED = ("ec2:DeleteSnapshot", "ebs:ListSnapshotBlocks", "ebs:GetSnapshotBlock", "kms:Decrypt")


class Account:
    """An account of a local cloud that enforces policies, with one encrypted instance."""

    def __init__(self, cloud: LocalCloud, directory: Path) -> None:
        self.cloud, self.directory = cloud, directory
        self.iam = self.of("iam")

    def of(self, service: str, credentials: dict[str, str] | None = None) -> Any:
        make: Any = boto3.client
        own = {"aws_access_key_id": ACCOUNT, "aws_secret_access_key": "local"}
        return make(
            service, endpoint_url=self.cloud.endpoint, region_name="us-east-1",
            **(credentials or own),
        )  # fmt: skip

    def role(self, name: str, *policies: str, without: str = "", boundary: str = "") -> None:
        """A role with policies of deploy/iam, less the statements of an action."""
        trust = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        bounds = {"PermissionsBoundary": boundary} if boundary else {}
        self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=document, **bounds)
        for policy in policies:
            content = filled_in(
                policy, AWS__AccountId=ACCOUNT, ScannerAccount=SCANNER, HubRoleArn=HUB
            )
            content["Statement"] = [
                one for one in content["Statement"] if not without or without not in str(one)
            ]
            self.iam.put_role_policy(
                RoleName=name, PolicyName=policy, PolicyDocument=json.dumps(content)
            )

    def boundary(self, *actions: str) -> str:
        statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        answer = self.iam.create_policy(PolicyName="boundary", PolicyDocument=document)
        return str(answer["Policy"]["Arn"])

    def checks(self, **settings: str) -> dict[str, dict[str, str]]:
        """The doctor's checks of permissions by name."""
        environment = {
            **self.cloud.environment(),
            "SIDELIGHT_STORE_URL": f"sqlite:///{self.directory}/fleet.db",
            "SIDELIGHT_BROKER_URL": "memory://",
            "SIDELIGHT_ROLE_NAME": ROLE,
            "SIDELIGHT_DEPLOYMENT": DEPLOYMENT,
            "SIDELIGHT_NETWORK_HOURS": "0",
            **settings,
        }
        done = CliRunner(env=environment).invoke(sidelight, ["doctor", "--format", "json"])
        return {check["name"]: check for check in json.loads(done.stdout)["checks"]}

    def succeeds(self, action: str, role: str = ROLE) -> bool:
        """Whether the role's call is allowed, of a real snapshot with our tags."""
        ec2 = self.of("ec2")
        (volume,) = ec2.describe_volumes()["Volumes"]
        snapshot = ec2.create_snapshot(
            VolumeId=volume["VolumeId"],
            TagSpecifications=[{"ResourceType": "snapshot", "Tags": WRITTEN}],
        )["SnapshotId"]
        answer = self.of("sts").assume_role(
            RoleArn=f"arn:aws:iam::{ACCOUNT}:role/{role}", RoleSessionName="test"
        )["Credentials"]
        client = self.of(
            "ec2" if action.startswith("ec2") else "ebs",
            {
                "aws_access_key_id": answer["AccessKeyId"],
                "aws_secret_access_key": answer["SecretAccessKey"],
                "aws_session_token": answer["SessionToken"],
            },
        )
        calls: dict[str, Any] = {
            "ec2:DeleteSnapshot": lambda: client.delete_snapshot(SnapshotId=snapshot),
            "ebs:ListSnapshotBlocks": lambda: client.list_snapshot_blocks(SnapshotId=snapshot),
            "kms:Decrypt": lambda: client.list_snapshot_blocks(SnapshotId=snapshot),
            "ebs:GetSnapshotBlock": lambda: client.get_snapshot_block(
                SnapshotId=snapshot, BlockIndex=0, BlockToken="none"
            ),
        }
        try:
            calls[action]()
        except ClientError as error:
            return error.response["Error"]["Code"] not in (
                "AccessDeniedException", "UnauthorizedOperation"
            )  # fmt: skip
        return True


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    image = tmp_path / "disk.img"
    image.write_bytes(bytes(1 << 20))
    conditions = replace(KIND, checks_policies=True, strict_roles=True)
    with LocalCloud(tmp_path / "cloud", conditions=conditions) as cloud:
        cloud.add_instance("web", [image], encrypted=True, kms_key_id=make_key(cloud))
        yield Account(cloud, tmp_path)


@services
@pytest.mark.parametrize("without", ["", *DECIDED])
def test_what_cannot_be_tried_is_decided_as_a_scan_would_be(account: Account, without: str) -> None:
    account.role(ROLE, "target-policy", "target-simulation-policy", without=without)
    found = account.checks()
    for action in DECIDED:
        allowed = account.succeeds(action)
        # A read needs both: which of them was refused it does not say.
        apart = {action, without} <= {"kms:Decrypt", *DECIDED[1:3]} and "kms:Decrypt" in (
            action, without
        )  # fmt: skip
        if action == without or not apart:
            assert found[action]["status"] == ("OK" if allowed else "ERROR"), found[action]
    if without:
        assert found[without]["remedy"] == f"allow {without} as in deploy/iam/target-policy.json"
    assert found[SIMULATE]["status"] == "OK"
    assert "policies of resources" in found[SIMULATE]["detail"]


@services
def test_another_deployments_tag_in_the_policy_is_an_error(account: Account) -> None:
    """Nothing but a snapshot of ours showed it before."""
    account.role(ROLE, "target-policy", "target-simulation-policy")
    found = account.checks(SIDELIGHT_DEPLOYMENT="another")
    assert found["ec2:DeleteSnapshot"]["status"] == "ERROR"
    assert "tags and conditions" in found["ec2:DeleteSnapshot"]["detail"]


@services
def test_without_the_permission_to_simulate_it_is_not_checked(account: Account) -> None:
    account.role(ROLE, "target-policy")
    found = account.checks()
    for name in (*DECIDED, SIMULATE):
        assert found[name]["status"] == "NOT_CHECKED", found[name]
    assert "target-simulation-policy.json" in found[SIMULATE]["remedy"]
    assert account.cloud.calls("SimulatePrincipalPolicy") == 1, "it is asked once"


@services
def test_a_boundary_that_lacks_an_action_is_named(account: Account) -> None:
    boundary = account.boundary("ec2:*", "ebs:List*", "kms:*", "iam:*", "rbin:*")
    account.role(ROLE, "target-policy", "target-simulation-policy", boundary=boundary)
    found = account.checks()
    assert found["ebs:ListSnapshotBlocks"]["status"] == "OK"
    check = found["ebs:GetSnapshotBlock"]
    assert (check["status"], check["detail"]) == ("ERROR", BOUNDARY)
    assert "boundary" in check["remedy"]
    assert not account.succeeds("ebs:GetSnapshotBlock")


@services
def test_the_readers_own_role_is_simulated_by_the_targets(account: Account) -> None:
    account.role(ROLE, "target-orchestrator-policy", "target-simulation-policy")
    account.role("SidelightReader", "target-reader-policy", without="GetSnapshotBlock")
    found = account.checks(SIDELIGHT_READER_ROLE_NAME="SidelightReader")
    for name in ("ebs:ListSnapshotBlocks", "ebs:GetSnapshotBlock"):
        assert found[name]["status"] == "ERROR", "both are of one statement"
        assert "target-reader-policy" in found[name]["remedy"]
    assert found["kms:Decrypt"]["status"] == "OK"
    assert found["ec2:DeleteSnapshot"]["status"] == "OK"


@services
@pytest.mark.parametrize("without", ["", "ec2:ModifySnapshotAttribute", "kms:CreateGrant"])
def test_sharing_and_grants_are_decided(account: Account, without: str) -> None:
    account.role("SidelightScanner", "scanner-policy", "scanner-sharing-policy",
                 "scanner-simulation-policy")  # fmt: skip
    account.role(ROLE, "target-orchestrator-policy", "target-sharing-policy",
                 "target-simulation-policy", without=without)  # fmt: skip
    found = account.checks(
        SIDELIGHT_HUB_ROLE=HUB, SIDELIGHT_SCANNER_ACCOUNT=SCANNER, SIDELIGHT_KMS_GRANTS="1"
    )
    for name in ("ec2:ModifySnapshotAttribute", "kms:CreateGrant"):
        assert found[name]["status"] == ("ERROR" if name == without else "OK"), found[name]
        if name == without:
            assert "target-sharing-policy" in found[name]["remedy"]


@services
@pytest.mark.parametrize(("without", "status"), [("", "OK"), ("ec2:CreateTags", "ERROR")])
def test_creation_is_decided_where_no_instance_is(
    tmp_path: Path, without: str, status: str
) -> None:
    conditions = replace(KIND, checks_policies=True, strict_roles=True)
    with LocalCloud(tmp_path / "cloud", conditions=conditions) as cloud:
        account = Account(cloud, tmp_path)
        account.role(ROLE, "target-policy", "target-simulation-policy", without=without)
        found = account.checks()
        assert found["ec2:CreateSnapshots"]["status"] == "OK", found
        assert found["ec2:CreateTags"]["status"] == status


def result(decided: str, **details: Any) -> dict[str, Any]:
    return {"EvalActionName": "ec2:DeleteSnapshot", "EvalDecision": decided, **details}


@pytest.mark.parametrize(
    ("details", "text", "remedy"),
    [
        ({"OrganizationsDecisionDetail": {"AllowedByOrganizations": False}}, ORGANIZATION,
         "ask who administers the organization"),
        ({"ResourceSpecificResults": [
            {"EvalResourceDecision": "implicitDeny",
             "PermissionsBoundaryDecisionDetail": {"AllowedByPermissionsBoundary": False}}
        ]}, BOUNDARY, "boundary"),
        ({}, "no policy allows it", ""),
    ],
)  # fmt: skip
def test_a_denial_names_the_policy_that_it_comes_from(
    details: dict[str, Any], text: str, remedy: str
) -> None:
    answer = decision("ec2:DeleteSnapshot", [result("implicitDeny", **details)])
    assert answer is not None
    assert answer.allowed is False
    assert answer.detail.startswith(text)
    assert remedy in answer.remedy


def test_an_explicit_denial_wins_and_its_policy_is_named() -> None:
    denied = result("explicitDeny", MatchedStatements=[{"SourcePolicyId": "user-guard"}])
    answer = decision("ec2:DeleteSnapshot", [result("allowed"), denied])
    assert answer is not None
    assert answer.allowed is False
    assert "user-guard" in answer.detail
    assert decision("ec2:DeleteSnapshot", []) is None
