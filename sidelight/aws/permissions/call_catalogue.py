"""Each AWS call that the code can make, who makes it, and the IAM actions that it needs.

A test reads the source and compares: a call that is not listed here fails it. Names are botocore's
service and operation. IAM's names of actions are from the Service Authorization Reference.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from sidelight.reachability.answers.stems import STEMS

if TYPE_CHECKING:
    from collections.abc import Iterator

# Services whose actions have another prefix than botocore's name.
IAM_PREFIXES: Final = {
    "elb": "elasticloadbalancing",
    "elbv2": "elasticloadbalancing",
    "service-quotas": "servicequotas",
}


class AwsRole(Enum):
    """Who makes a call. The value is how the documents name it."""

    ORCHESTRATOR = "target"  # in each account: discovers, creates, tags, shares, deletes
    READER = "reader"  # in each account: reads blocks; the target's role unless set apart
    HUB = "scanner"  # the scanner's own: enters accounts, receives and publishes
    OPERATOR = "operator"  # a person's own credentials: `sidelight probe`, a measuring tool


@dataclass(frozen=True, slots=True)
class AwsCall:
    """One operation. `actions`: all that IAM checks for it; none where IAM checks nothing.

    `ungranted`: why no policy of ours grants it; empty for calls that policies grant.
    """

    service: str
    operation: str
    roles: tuple[AwsRole, ...]
    actions: tuple[str, ...] = ()
    ungranted: str = ""


def action(service: str, operation: str) -> str:
    """Return the IAM action of an operation of the same name."""
    return f"{IAM_PREFIXES.get(service, service)}:{operation}"


TARGET: Final = (AwsRole.ORCHESTRATOR,)
READING: Final = (AwsRole.READER, AwsRole.HUB)  # in place, and shared
HUB: Final = (AwsRole.HUB,)


def _calls(service: str, roles: tuple[AwsRole, ...], *operations: str) -> Iterator[AwsCall]:
    for name in operations:
        yield AwsCall(service, name, roles, (action(service, name),))


OPERATOR_ONLY: Final = "a person measures an account of their own with their own credentials"
CALLS: Final[tuple[AwsCall, ...]] = (
    # Discovery, snapshots and keys: sidelight.aws.ec2, .kms, .quotas, .recycle_bin.
    *_calls("ec2", TARGET, "DescribeInstances", "DescribeRegions", "DescribeVolumes"),
    # The reader lists snapshots where EBS direct does not know them yet.
    *_calls("ec2", (*TARGET, AwsRole.READER), "DescribeSnapshots"),
    AwsCall("ec2", "CreateSnapshots", TARGET, ("ec2:CreateSnapshots", "ec2:CreateTags")),
    *_calls("ec2", TARGET, "DeleteSnapshot", "ModifySnapshotAttribute"),
    # Volumes that were not written: sidelight.aws.volume_writes.
    *_calls("cloudwatch", TARGET, "GetMetricData"),
    *_calls("kms", TARGET, "CreateGrant", "DescribeKey", "ListResourceTags"),
    *_calls("rbin", TARGET, "GetRule", "ListRules"),
    *_calls("service-quotas", (*TARGET, AwsRole.HUB), "GetServiceQuota"),
    # EBS decrypts with the caller's permissions: "Permissions for EBS direct APIs".
    AwsCall("ebs", "GetSnapshotBlock", READING, ("ebs:GetSnapshotBlock", "kms:Decrypt")),
    AwsCall("ebs", "ListSnapshotBlocks", READING, ("ebs:ListSnapshotBlocks", "kms:Decrypt")),
    # `sidelight doctor`, of the caller's own policies: sidelight.aws.policy_simulation.
    *_calls("iam", (*TARGET, AwsRole.HUB), "SimulatePrincipalPolicy"),
    # Agent-based scans: sidelight.aws.ssm.
    *_calls(
        "ssm", TARGET, "CreateAssociation", "CreateDocument", "CreateResourceDataSync",
        "DeleteAssociation", "DeleteDocument", "DeleteResourceDataSync", "DescribeAssociation",
        "DescribeInstanceInformation", "GetDocument", "GetInventory", "ListAssociations",
        "ListInventoryEntries", "ListResourceDataSync", "UpdateAssociation", "UpdateDocument",
        "UpdateDocumentDefaultVersion",
    ),
    *_calls("s3", HUB, "GetObject"),
    # ListObjectsV2 is the action of the older ListObjects.
    AwsCall("s3", "ListObjectsV2", HUB, ("s3:ListBucket",)),
    # Reports: boto3's upload_file, in parts where the file is large, under SSE-KMS.
    AwsCall(
        "s3", "PutObject", TARGET,
        ("s3:PutObject", "s3:AbortMultipartUpload", "kms:GenerateDataKey", "kms:Decrypt"),
    ),
    # `sidelight inspector compare`: sidelight.aws.inspector.
    *_calls("inspector2", TARGET, "ListCoverage", "ListFindings"),
    # Events to Security Hub: sidelight.aws.security_hub.
    *_calls("securityhub", TARGET, "BatchImportFindings"),
    # The hub.
    AwsCall("sts", "AssumeRole", HUB, ("sts:AssumeRole", "sts:TagSession")),
    AwsCall("sts", "GetCallerIdentity", HUB, (), "IAM needs no permission for it"),
    *_calls(
        "organizations", HUB, "DescribeOrganization", "ListAccounts", "ListAccountsForParent",
        "ListOrganizationalUnitsForParent",
    ),
    *_calls("kms", HUB, "ListRetirableGrants"),
    AwsCall("kms", "RetireGrant", HUB, (), "the grant itself allows its retiring principal"),
    *_calls("events", HUB, "PutEvents"),
    AwsCall("sns", "PublishBatch", HUB, ("sns:Publish",)),
    # kombu's transport, and the queue of changes.
    *_calls(
        "sqs", HUB, "ChangeMessageVisibility", "DeleteMessage", "GetQueueAttributes",
        "GetQueueUrl", "ReceiveMessage", "SendMessage",
    ),
    AwsCall("sqs", "DeleteMessageBatch", HUB, ("sqs:DeleteMessage",)),
    # The network model: sidelight.aws.network.
    *(
        AwsCall(stem.service, stem.operation, TARGET, (action(stem.service, stem.operation),))
        for stem in STEMS.values()
    ),
    # sidelight.aws.probe
    *(
        AwsCall("ec2", name, (AwsRole.OPERATOR,), (action("ec2", name),), OPERATOR_ONLY)
        for name in (
            "CreateSnapshot", "CreateVolume", "GetSnapshotBlockPublicAccessState",
        )
    ),
    AwsCall("kms", "RevokeGrant", (AwsRole.OPERATOR,), ("kms:RevokeGrant",), OPERATOR_ONLY),
)  # fmt: skip


def granted_actions(role: AwsRole) -> frozenset[str]:
    """Return the actions that a role's calls need, of those that policies grant."""
    return frozenset(
        name for call in CALLS if role in call.roles and not call.ungranted for name in call.actions
    )
