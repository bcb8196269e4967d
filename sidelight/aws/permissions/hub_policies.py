"""What the scanner's own role, the hub, may do, and two policies that others attach."""

from __future__ import annotations

from typing import Final

from sidelight.aws.permissions.statements import (
    OWN_TAGS,
    SNAPSHOTS,
    Statement,
    by_ebs,
    simulating,
)
from sidelight.aws.permissions.target_policies import (
    BLOCK_READS,
    NOT_UNDER_EXCLUDED_KEYS,
    READ_QUOTAS,
)

ENTER: Final = Statement(
    "EnterTheAccounts", ("sts:AssumeRole", "sts:TagSession"),
    "arn:${AWS::Partition}:iam::*:role/${TargetRoleName}",
)  # fmt: skip
ENTER_AS_READER: Final = Statement(
    "EnterTheAccountsAsTheReader", ("sts:AssumeRole", "sts:TagSession"),
    "arn:${AWS::Partition}:iam::*:role/${ReaderRoleName}",
)  # fmt: skip
LIST_ACCOUNTS: Final = Statement(
    "ListTheAccounts",
    (
        "organizations:DescribeOrganization", "organizations:ListAccounts",
        "organizations:ListAccountsForParent", "organizations:ListOrganizationalUnitsForParent",
    ),
)  # fmt: skip

READ_SHARED: Final = (
    READ_QUOTAS,
    Statement(
        "ReadWhatIsShared", BLOCK_READS, SNAPSHOTS,
        reason="the owner's tags are not visible here: no condition on them is possible",
    ),
    Statement(
        "ButNoneOfThisAccountsOwn", BLOCK_READS, SNAPSHOTS,
        {"StringEquals": {"aws:ResourceAccount": "${AWS::AccountId}"}}, denies=True,
        reason="the scanner's account has backups of its own",
    ),
    Statement("DecryptWhatIsShared", ("kms:Decrypt",), "*", by_ebs()),
    NOT_UNDER_EXCLUDED_KEYS,
    Statement("FindTheGrantsToRetire", ("kms:ListRetirableGrants",)),
)  # fmt: skip

SIMULATION: Final = (simulating("${RoleName}"),)

BUS: Final = (
    Statement(
        "TellTheBus", ("events:PutEvents",), "${EventBusArn}",
        {"StringEquals": {"events:source": "sidelight"}},
    ),
)  # fmt: skip
TOPIC: Final = (Statement("TellTheTopic", ("sns:Publish",), "${TopicArn}"),)
QUEUES: Final = (
    Statement(
        "UseTheQueues",
        (
            "sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes",
            "sqs:GetQueueUrl", "sqs:ReceiveMessage", "sqs:SendMessage",
        ),
        "${QueueArnPrefix}*",
    ),
)  # fmt: skip
INVENTORIES: Final = (
    Statement("ListInventories", ("s3:ListBucket",), "${InventoryBucketArn}"),
    Statement("ReadInventories", ("s3:GetObject",), "${InventoryBucketArn}/*"),
)
BUNDLES: Final = (Statement("ReadTheAdvisories", ("s3:GetObject",), "${AdvisoryBundleArn}"),)
CHANGES: Final = (
    Statement("ReceiveChanges", ("sqs:DeleteMessage", "sqs:ReceiveMessage"), "${ChangesQueueArn}"),
)

# In the policy of a customer's key.
KEY: Final = (
    Statement(
        "LetTheScannerDecryptSharedSnapshots", ("kms:Decrypt",), "*", by_ebs(),
        principal="${HubRoleArn}",
    ),
)  # fmt: skip
# A service control policy: it limits all other principals of the organization.
ORGANIZATION_TAGS: Final = (
    Statement(
        "OurTagsAreTheScannersAlone", ("ec2:CreateTags", "ec2:DeleteTags"),
        "arn:${AWS::Partition}:ec2:*::snapshot/*",
        {
            # Conditions on aws:ResourceTag/KEY match a tag's key in any case, so each case is ours.
            "ForAnyValue:StringEqualsIgnoreCase": {"aws:TagKeys": OWN_TAGS},
            "ArnNotLike": {
                "aws:PrincipalArn": "arn:${AWS::Partition}:iam::*:role/${TargetRoleName}"
            },
        },
        denies=True,
    ),
)  # fmt: skip
