"""What the roles of deploy/iam may do and what they may not, decided as IAM decides."""

from __future__ import annotations

import re
from typing import Any

import pytest

from sidelight.localcloud.policies.evaluation import AccessRequest, PolicyDecision, decide
from tests.fixtures.iam_policies import ACCOUNT, DEPLOYMENT, SCANNER, VALUES, filled_in

REGION = "eu-west-1"
SNAPSHOT = f"arn:aws:ec2:{REGION}::snapshot/snap-1"
INSTANCE = f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/i-1"
VOLUME = f"arn:aws:ec2:{REGION}:{ACCOUNT}:volume/vol-1"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1"
OWN = {
    "aws:ResourceTag/SidelightDeployment": [DEPLOYMENT],
    "aws:ResourceTag/InspectorScan": ["abc"],
    "aws:ResourceAccount": [ACCOUNT],
}
EXCLUDED = {"aws:ResourceTag/InspectorEc2Exclusion": ["true"]}
NEW_TAGS = {
    "aws:TagKeys": ["InspectorScan", "SidelightDeployment"],
    "aws:RequestTag/SidelightDeployment": [DEPLOYMENT],
    "aws:RequestTag/InspectorScan": ["abc"],
}
BY_EBS = {
    "kms:ViaService": [f"ec2.{REGION}.amazonaws.com"],
    "kms:EncryptionContext:aws:ebs:id": ["vol-1"],
}
READS = ("ebs:ListSnapshotBlocks", "ebs:GetSnapshotBlock")
# Snapshots that are not this deployment's.
FOREIGN: dict[str, dict[str, list[str]]] = {
    "without tags": {"aws:ResourceAccount": [ACCOUNT]},
    "of another deployment": OWN | {"aws:ResourceTag/SidelightDeployment": ["staging"]},
    "with one of the tags": {"aws:ResourceTag/SidelightDeployment": [DEPLOYMENT]},
}
TARGET = ("target-policy", "target-sharing-policy", "target-network-policy",
          "target-agents-policy", "target-reports-policy")  # fmt: skip
ORCHESTRATOR = ("target-orchestrator-policy", *TARGET[1:])
READER = ("target-reader-policy",)
HUB = ("scanner-policy", "scanner-sharing-policy", "scanner-queues-policy")


def decision(
    files: tuple[str, ...], action: str, resource: str = "*", *contexts: dict[str, list[str]]
) -> PolicyDecision:
    context = {key: value for part in contexts for key, value in part.items()}
    return decide([filled_in(name) for name in files], AccessRequest(action, resource, context))


def allowed(files: tuple[str, ...], action: str, resource: str = "*", *contexts: Any) -> bool:
    return decision(files, action, resource, *contexts) is PolicyDecision.ALLOWED


@pytest.mark.parametrize("files", [TARGET, READER])
@pytest.mark.parametrize("action", READS)
def test_only_our_snapshots_are_read(files: tuple[str, ...], action: str) -> None:
    assert allowed(files, action, SNAPSHOT, OWN)
    for what, tags in FOREIGN.items():
        assert not allowed(files, action, SNAPSHOT, tags), what


@pytest.mark.parametrize("files", [TARGET, ORCHESTRATOR])
def test_only_our_snapshots_are_deleted(files: tuple[str, ...]) -> None:
    assert allowed(files, "ec2:DeleteSnapshot", SNAPSHOT, OWN)
    for what, tags in FOREIGN.items():
        assert not allowed(files, "ec2:DeleteSnapshot", SNAPSHOT, tags), what


def test_the_orchestrator_reads_no_block_and_decrypts_nothing() -> None:
    for action in READS:
        assert not allowed(ORCHESTRATOR, action, SNAPSHOT, OWN)
    assert not allowed(ORCHESTRATOR, "kms:Decrypt", KEY, BY_EBS)


@pytest.mark.parametrize(
    "action",
    [
        "ec2:CreateSnapshots", "ec2:CreateSnapshot", "ec2:DeleteSnapshot", "ec2:CreateTags",
        "ec2:ModifySnapshotAttribute", "ec2:CopySnapshot", "ec2:CreateVolume",
        "ebs:PutSnapshotBlock", "ebs:StartSnapshot", "kms:CreateGrant", "kms:GenerateDataKey",
        "ec2:DescribeInstances", "ssm:SendCommand", "sts:AssumeRole",
    ],
)  # fmt: skip
@pytest.mark.parametrize("resource", ["*", SNAPSHOT, INSTANCE, VOLUME, KEY])
def test_the_reader_only_reads(action: str, resource: str) -> None:
    assert not allowed(READER, action, resource, OWN, NEW_TAGS, BY_EBS)


def creation(tags: dict[str, list[str]], new: dict[str, list[str]]) -> dict[str, PolicyDecision]:
    """CreateSnapshots as EC2 authorizes it, for each of its resources."""
    files = ("target-policy",)
    return {
        "instance": decision(files, "ec2:CreateSnapshots", INSTANCE, tags),
        "volume": decision(files, "ec2:CreateSnapshots", VOLUME),
        "snapshot": decision(files, "ec2:CreateSnapshots", SNAPSHOT, new),
        "tags": decision(files, "ec2:CreateTags", SNAPSHOT, new,
                        {"ec2:CreateAction": ["CreateSnapshots"]}),
    }  # fmt: skip


def test_an_instance_is_snapshotted_with_our_tags() -> None:
    assert set(creation({"aws:ResourceTag/team": ["web"]}, NEW_TAGS).values()) == {
        PolicyDecision.ALLOWED
    }


def test_an_excluded_instance_is_denied_whatever_else_allows_it() -> None:
    assert creation(EXCLUDED, NEW_TAGS)["instance"] is PolicyDecision.EXPLICITLY_DENIED
    anything = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    policies = [anything, filled_in("target-policy")]
    access = AccessRequest("ec2:CreateSnapshots", INSTANCE, EXCLUDED)
    assert decide(policies, access) is PolicyDecision.EXPLICITLY_DENIED


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {"aws:TagKeys": ["SidelightDeployment"],
         "aws:RequestTag/SidelightDeployment": [DEPLOYMENT]},
        NEW_TAGS | {"aws:RequestTag/SidelightDeployment": ["staging"]},
        NEW_TAGS | {"aws:TagKeys": ["InspectorScan", "SidelightDeployment", "Owner"],
                    "aws:RequestTag/Owner": ["eve"]},
    ],
)  # fmt: skip
def test_no_snapshot_is_created_without_our_tags_or_with_others(
    tags: dict[str, list[str]],
) -> None:
    assert creation({}, tags)["snapshot"] is PolicyDecision.DENIED


def test_one_volume_alone_is_never_snapshotted() -> None:
    for resource in (VOLUME, SNAPSHOT):
        assert not allowed(TARGET, "ec2:CreateSnapshot", resource, NEW_TAGS)


def test_existing_snapshots_are_never_tagged() -> None:
    assert not allowed(TARGET, "ec2:CreateTags", SNAPSHOT, NEW_TAGS)
    other = {"ec2:CreateAction": ["CopySnapshot"]}
    assert not allowed(TARGET, "ec2:CreateTags", SNAPSHOT, NEW_TAGS, other)
    assert not allowed(TARGET, "ec2:DeleteTags", SNAPSHOT, OWN, NEW_TAGS)


def share(*contexts: dict[str, list[str]]) -> PolicyDecision:
    return decision(TARGET, "ec2:ModifySnapshotAttribute", SNAPSHOT, *contexts)


def test_a_snapshot_is_shared_with_the_scanner_alone() -> None:
    scanner = {"ec2:Add/userId": [SCANNER]}
    assert share(OWN, scanner) is PolicyDecision.ALLOWED
    for tags in FOREIGN.values():
        assert share(tags, scanner) is PolicyDecision.DENIED
    assert share(OWN, {"ec2:Add/userId": ["999999999999"]}) is PolicyDecision.EXPLICITLY_DENIED
    both = {"ec2:Add/userId": [SCANNER, "999999999999"]}
    assert share(OWN, both) is PolicyDecision.EXPLICITLY_DENIED
    assert share(OWN, {"ec2:Remove/userId": [SCANNER]}) is PolicyDecision.DENIED


def test_no_snapshot_is_shared_with_all() -> None:
    everyone = {"ec2:Add/group": ["all"]}
    assert share(OWN, everyone) is PolicyDecision.EXPLICITLY_DENIED
    assert share(OWN, everyone, {"ec2:Add/userId": [SCANNER]}) is PolicyDecision.EXPLICITLY_DENIED


@pytest.mark.parametrize("files", [("target-policy",), READER, ("scanner-sharing-policy",)])
def test_keys_decrypt_for_ebs_alone(files: tuple[str, ...]) -> None:
    assert allowed(files, "kms:Decrypt", KEY, BY_EBS)
    assert not allowed(files, "kms:Decrypt", KEY)
    for key, value in (
        ("kms:ViaService", f"secretsmanager.{REGION}.amazonaws.com"),
        ("kms:EncryptionContext:aws:ebs:id", "arn:aws:secretsmanager:secret"),
    ):
        assert not allowed(files, "kms:Decrypt", KEY, BY_EBS | {key: [value]})
        rest = {name: values for name, values in BY_EBS.items() if name != key}
        assert not allowed(files, "kms:Decrypt", KEY, rest)
    assert decision(files, "kms:Decrypt", KEY, BY_EBS, EXCLUDED) is PolicyDecision.EXPLICITLY_DENIED


def test_reports_are_encrypted_by_way_of_s3() -> None:
    via = {"kms:ViaService": ["s3.us-east-1.amazonaws.com"]}
    for action in ("kms:Decrypt", "kms:GenerateDataKey"):
        assert allowed(("target-reports-policy",), action, VALUES["ReportKeyArn"], via)
        assert not allowed(("target-reports-policy",), action, VALUES["ReportKeyArn"])


def grant(**changes: list[str]) -> bool:
    context = {
        "GranteePrincipal": [VALUES["HubRoleArn"]],
        "RetiringPrincipal": [VALUES["HubRoleArn"]],
        "GrantOperations": ["Decrypt"],
    } | changes
    keys = {f"kms:{name}": values for name, values in context.items() if values}
    return allowed(TARGET, "kms:CreateGrant", KEY, keys)


def test_a_grant_lets_the_scanner_decrypt_and_nobody_else() -> None:
    assert grant()
    assert not grant(GranteePrincipal=[f"arn:aws:iam::{ACCOUNT}:role/Eve"])
    assert not grant(RetiringPrincipal=[f"arn:aws:iam::{ACCOUNT}:role/Eve"])
    assert not grant(GrantOperations=["Decrypt", "CreateGrant"])
    assert not grant(GrantOperations=[])
    hub = [VALUES["HubRoleArn"]]
    keys = {"kms:GranteePrincipal": hub, "kms:RetiringPrincipal": hub,
            "kms:GrantOperations": ["Decrypt"]}  # fmt: skip
    assert not allowed(TARGET, "kms:CreateGrant", KEY, keys, EXCLUDED)
    assert not allowed(TARGET, "kms:CreateGrant", KEY.replace(ACCOUNT, "999999999999"), keys)


def test_the_hub_reads_what_is_shared_and_none_of_its_own_accounts_snapshots() -> None:
    policies = [filled_in(name, AWS__AccountId=SCANNER) for name in HUB]
    for action in READS:
        for owner, expected in (
            (ACCOUNT, PolicyDecision.ALLOWED),
            (SCANNER, PolicyDecision.EXPLICITLY_DENIED),
        ):
            access = AccessRequest(action, SNAPSHOT, {"aws:ResourceAccount": [owner]})
            assert decide(policies, access) is expected


def test_the_hub_enters_the_targets_role_and_no_other() -> None:
    role = f"arn:aws:iam::{ACCOUNT}:role/"
    for action in ("sts:AssumeRole", "sts:TagSession"):
        assert allowed(HUB, action, f"{role}SidelightTarget")
        for name in ("Admin", "SidelightTargets", "SidelightTarget/x"):
            assert not allowed(HUB, action, f"{role}{name}")


def test_the_hub_uses_its_own_queues_alone() -> None:
    assert allowed(HUB, "sqs:SendMessage", f"{VALUES['QueueArnPrefix']}take")
    assert not allowed(HUB, "sqs:SendMessage", f"arn:aws:sqs:us-east-1:{SCANNER}:payroll")
    assert not allowed(HUB, "sqs:DeleteQueue", f"{VALUES['QueueArnPrefix']}take")


def test_own_images_and_backups_are_read_where_allowed_apart() -> None:
    files = ("target-own-snapshots-policy",)
    backup = {"aws:ResourceAccount": [ACCOUNT], "aws:ResourceTag/Name": ["nightly"]}
    for action in READS:
        assert allowed(files, action, SNAPSHOT, backup)
        assert not allowed(files, action, SNAPSHOT, backup, EXCLUDED)
        assert not allowed(files, action, SNAPSHOT, {"aws:ResourceAccount": [SCANNER]})
    assert not allowed(files, "ec2:DeleteSnapshot", SNAPSHOT, backup)


def test_only_the_targets_role_writes_our_tags_under_the_organizations_policy() -> None:
    everything = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    policies = [everything, filled_in("organization-tags-policy")]

    def tagging(role: str, *keys: str) -> PolicyDecision:
        context = {"aws:TagKeys": list(keys), "aws:PrincipalArn": [f"arn:aws:iam::1:role/{role}"]}
        return decide(policies, AccessRequest("ec2:CreateTags", SNAPSHOT, context))

    assert tagging("SidelightTarget", "InspectorScan") is PolicyDecision.ALLOWED
    assert tagging("Eve", "Name") is PolicyDecision.ALLOWED
    assert tagging("Eve", "Name", "InspectorScan") is PolicyDecision.EXPLICITLY_DENIED
    # To IAM these keys are ours: the roles may delete, share and read what has them.
    lowered = {
        name.lower() if name.startswith("aws:ResourceTag/") else name: values
        for name, values in OWN.items()
    }
    assert allowed(("target-policy",), "ec2:DeleteSnapshot", SNAPSHOT, lowered)
    for key in ("inspectorscan", "INSPECTORSCAN", "sidelightdeployment"):
        assert tagging("Eve", key) is PolicyDecision.EXPLICITLY_DENIED


def test_every_value_of_a_policy_is_one_that_a_deployment_has() -> None:
    for name in (*TARGET, *ORCHESTRATOR, *READER, *HUB):
        assert not re.search(r"\$\{", str(filled_in(name)))
