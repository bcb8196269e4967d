"""What the roles in a scanned account may do: the target's, and the reader's.

Which resources and condition keys an action has is from the Service Authorization Reference; `make
deploy` compares with it. CreateSnapshots is checked once for each of the instance, its volumes and
the snapshots to be; each needs an Allow.
"""

from __future__ import annotations

from typing import Final

from sidelight.aws.permissions.call_catalogue import action
from sidelight.aws.permissions.statements import (
    ABSENT,
    DEPLOYMENT_TAG,
    EXCLUSION_TAG,
    OWN_TAGS,
    SNAPSHOTS,
    Statement,
    by_ebs,
    excluded,
    joined,
    our_snapshot,
    simulating,
    tags_at_creation,
)
from sidelight.reachability.answers.stems import STEMS

INSTANCES: Final = "arn:${AWS::Partition}:ec2:*:*:instance/*"
QUOTAS: Final = "arn:${AWS::Partition}:servicequotas:*:*:ebs/*"
DOCUMENTS: Final = "arn:${AWS::Partition}:ssm:*:*:document/"
ASSOCIATIONS: Final = "arn:${AWS::Partition}:ssm:*:*:association/*"
MANAGED: Final = "arn:${AWS::Partition}:ssm:*:*:managed-instance/*"
SYNCS: Final = "arn:${AWS::Partition}:ssm:*:*:resource-data-sync/"
GATHER: Final = f"{DOCUMENTS}AWS-GatherSoftwareInventory"
COLLECTOR: Final = f"{DOCUMENTS}Sidelight-DeepInspection"

READ_QUOTAS: Final = Statement("ReadTheQuotas", ("servicequotas:GetServiceQuota",), QUOTAS)
BLOCK_READS: Final = ("ebs:GetSnapshotBlock", "ebs:ListSnapshotBlocks")
NOT_UNDER_EXCLUDED_KEYS: Final = Statement(
    "ButNotUnderExcludedKeys", ("kms:Decrypt",), "*", excluded(), denies=True,
    reason="a key with the exclusion tag excludes its volumes",
)  # fmt: skip

ORCHESTRATOR: Final = (
    Statement(
        "Discover",
        (
            "ec2:DescribeInstances", "ec2:DescribeRegions", "ec2:DescribeSnapshots",
            "ec2:DescribeVolumes", "kms:DescribeKey", "kms:ListResourceTags",
        ),
        reason="EC2's describe calls have no resources; a volume's key may be another account's",
    ),
    READ_QUOTAS,
    Statement(
        "ReadTheWritesOfVolumes", ("cloudwatch:GetMetricData",),
        reason="metrics have no resources; only with SIDELIGHT_UNCHANGED_DAYS is it called",
    ),
    Statement("ReadTheRecycleBinsRules", ("rbin:GetRule", "rbin:ListRules")),
    Statement(
        "SnapshotVolumes", ("ec2:CreateSnapshots",),
        (INSTANCES, "arn:${AWS::Partition}:ec2:*:*:volume/*"),
    ),
    Statement(
        "ButNotOfExcludedInstances", ("ec2:CreateSnapshots",), INSTANCES, excluded(), denies=True,
        reason="an instance with the exclusion tag, whatever else allows it",
    ),
    Statement(
        "SnapshotWithOurTagsAlone", ("ec2:CreateSnapshots",), SNAPSHOTS, tags_at_creation(),
        reason="no snapshot without Sidelight's tags, and none with others",
    ),
    Statement(
        "TagWhatIsBeingMade", ("ec2:CreateTags",), SNAPSHOTS,
        {
            "StringEquals": {
                "ec2:CreateAction": "CreateSnapshots",
                f"aws:RequestTag/{DEPLOYMENT_TAG}": "${DeploymentId}",
            },
            "ForAllValues:StringEquals": {"aws:TagKeys": OWN_TAGS},
        },
        reason="at the creation alone: no existing snapshot can be made Sidelight's",
    ),
    Statement("DeleteOurSnapshots", ("ec2:DeleteSnapshot",), SNAPSHOTS, our_snapshot()),
)  # fmt: skip

READER: Final = (
    Statement(
        "ListSnapshots", ("ec2:DescribeSnapshots",),
        reason="EBS direct knows a snapshot later than EC2",
    ),
    Statement("ReadOurSnapshots", BLOCK_READS, SNAPSHOTS, our_snapshot()),
    Statement(
        "DecryptVolumes", ("kms:Decrypt",), "*", by_ebs(),
        reason="EBS's calls for volumes and snapshots alone: keys protect secrets as well",
    ),
    NOT_UNDER_EXCLUDED_KEYS,
)  # fmt: skip

# Of one role that does all: without the reader's own listing.
SCAN: Final = (*ORCHESTRATOR, *(one for one in READER if one.sid != "ListSnapshots"))

OWN_SNAPSHOTS: Final = (
    Statement(
        "ReadTheAccountsOwnSnapshots", BLOCK_READS, SNAPSHOTS,
        {
            "StringEquals": {"aws:ResourceAccount": "${AWS::AccountId}"},
            "Null": {f"aws:ResourceTag/{EXCLUSION_TAG}": ABSENT},
        },
        reason="of images and backups (`sidelight scan ebs:snap-…`); none with the exclusion tag",
    ),
)  # fmt: skip

SHARING: Final = (
    Statement(
        "ShareOurSnapshotsWithTheScanner", ("ec2:ModifySnapshotAttribute",), SNAPSHOTS,
        joined(
            our_snapshot(),
            {"StringEquals": {"ec2:Add/userId": "${ScannerAccount}"}},
            {"Null": {"ec2:Add/group": ABSENT}},
        ),
    ),
    Statement(
        "ButWithNobodyElse", ("ec2:ModifySnapshotAttribute",), SNAPSHOTS,
        {"ForAnyValue:StringNotEquals": {"ec2:Add/userId": "${ScannerAccount}"}}, denies=True,
        reason="a request may name several accounts",
    ),
    Statement(
        "AndNeverWithAll", ("ec2:ModifySnapshotAttribute",), SNAPSHOTS,
        {"Null": {"ec2:Add/group": "false"}}, denies=True,
        reason="the group `all` makes a snapshot public",
    ),
    Statement(
        "LetTheScannerDecrypt", ("kms:CreateGrant",),
        "arn:${AWS::Partition}:kms:*:${AWS::AccountId}:key/*",
        {
            "StringEquals": {
                "kms:GranteePrincipal": "${HubRoleArn}",
                "kms:RetiringPrincipal": "${HubRoleArn}",
            },
            "ForAllValues:StringEquals": {"kms:GrantOperations": ("Decrypt",)},
            "Null": {
                f"aws:ResourceTag/{EXCLUSION_TAG}": ABSENT,
                "kms:GrantOperations": "false",
            },
        },
        reason="Decrypt alone, for the scanner alone, on the account's own keys",
    ),
)  # fmt: skip

AGENTS: Final = (
    Statement(
        "ReadInventories",
        (
            "ssm:DescribeAssociation", "ssm:DescribeInstanceInformation", "ssm:GetInventory",
            "ssm:ListAssociations", "ssm:ListInventoryEntries", "ssm:ListResourceDataSync",
        ),
    ),
    Statement(
        "CollectInventoriesByTheDocument", ("ssm:CreateAssociation", "ssm:UpdateAssociation"),
        (INSTANCES, ASSOCIATIONS, GATHER, MANAGED),
    ),
    Statement("RemoveAssociations", ("ssm:DeleteAssociation",), (ASSOCIATIONS, GATHER)),
    Statement(
        "SendInventoriesToTheBucket",
        ("ssm:CreateResourceDataSync", "ssm:DeleteResourceDataSync"),
        (
            f"{SYNCS}InspectorResourceDataSync-do-not-delete",
            f"{SYNCS}SidelightResourceDataSync-do-not-delete",
        ),
    ),
)  # fmt: skip

DEEP_INSPECTION: Final = (
    Statement(
        "KeepTheCollectorsDocument",
        (
            "ssm:CreateDocument", "ssm:DeleteDocument", "ssm:GetDocument", "ssm:UpdateDocument",
            "ssm:UpdateDocumentDefaultVersion",
        ),
        COLLECTOR,
    ),
    Statement(
        "RunTheCollector", ("ssm:CreateAssociation", "ssm:UpdateAssociation"),
        (INSTANCES, ASSOCIATIONS, COLLECTOR, MANAGED),
    ),
    Statement("EndTheCollector", ("ssm:DeleteAssociation",), (ASSOCIATIONS, COLLECTOR)),
)  # fmt: skip

SIMULATION: Final = (simulating("${RoleName}", "${ReaderRoleName}"),)

NETWORK: Final = (
    Statement(
        "DescribeTheNetwork",
        tuple(sorted({action(stem.service, stem.operation) for stem in STEMS.values()})),
        reason="reads of descriptions, most of which have no resources",
    ),
)

REPORTS: Final = (
    Statement(
        "WriteReports", ("s3:AbortMultipartUpload", "s3:PutObject"), "${ReportBucketArn}/*"
    ),
    Statement(
        "EncryptReports", ("kms:Decrypt", "kms:GenerateDataKey"), "${ReportKeyArn}",
        {"StringLike": {"kms:ViaService": ("s3.*.amazonaws.com", "s3.*.amazonaws.com.cn")}},
        reason="S3's calls alone; it decrypts the data key of an upload in parts",
    ),
)  # fmt: skip

INSPECTOR: Final = (
    Statement(
        "ReadInspectorForAComparison", ("inspector2:ListCoverage", "inspector2:ListFindings"),
        reason="lists, which have no resources; no template has them",
    ),
)  # fmt: skip

SECURITY_HUB: Final = (
    Statement(
        "SendFindingsToSecurityHub", ("securityhub:BatchImportFindings",),
        "arn:${AWS::Partition}:securityhub:*:${AWS::AccountId}:product/${AWS::AccountId}/default",
        reason="the account's own default product; no template has it",
    ),
)  # fmt: skip
