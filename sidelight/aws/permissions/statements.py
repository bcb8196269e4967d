"""The form of the policies' source: statements, and the values that a deployment fills in.

Resources and conditions name a deployment's values as CloudFormation's Sub does: `${DeploymentId}`
is a parameter of the template, `${AWS::Partition}` a pseudo parameter. The JSON files keep these
texts, for the reader to replace.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

Values = str | tuple[str, ...]
Conditions = dict[str, dict[str, Values]]  # operator -> key -> values

VERSION: Final = "2012-10-17"
MANAGED_SIZE: Final = 6144  # characters of a managed policy without white space: IAM's quota
# All inline policies of a role together: IAM's quota.
INLINE_SIZE: Final = 10240

SNAPSHOTS: Final = "arn:${AWS::Partition}:ec2:*::snapshot/*"
SCAN_TAG: Final = "InspectorScan"
DEPLOYMENT_TAG: Final = "SidelightDeployment"
EXCLUSION_TAG: Final = "InspectorEc2Exclusion"
OWN_TAGS: Final = (SCAN_TAG, DEPLOYMENT_TAG)
# In a Null condition: the key has to be there, or must not be.
PRESENT: Final = "false"
ABSENT: Final = "true"


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement of a policy. `denies`: whether it denies, which wins over all that allows.

    `principal`: of a resource's policy alone. `reason`: what its conditions or a deny are for.
    """

    sid: str
    actions: tuple[str, ...]
    resources: Values = "*"
    conditions: Mapping[str, Mapping[str, Values]] = field(default_factory=dict)
    denies: bool = False
    principal: str = ""
    reason: str = ""


def simulating(*roles: str) -> Statement:
    """Return the statement that lets a role ask what these roles of its account may do."""
    return Statement(
        "SimulateOwnPolicies", ("iam:SimulatePrincipalPolicy",),
        tuple(f"arn:${{AWS::Partition}}:iam::${{AWS::AccountId}}:role/{name}" for name in roles),
        reason="`sidelight doctor` decides what it cannot try; nothing of other roles is shown",
    )  # fmt: skip


def our_snapshot() -> Conditions:
    """Return the condition that a snapshot has both of Sidelight's tags, of this deployment."""
    return {
        "StringEquals": {f"aws:ResourceTag/{DEPLOYMENT_TAG}": "${DeploymentId}"},
        "Null": {f"aws:ResourceTag/{SCAN_TAG}": PRESENT},
    }


def tags_at_creation() -> Conditions:
    """Return the condition that a request writes Sidelight's tags, and no others."""
    return {
        "StringEquals": {f"aws:RequestTag/{DEPLOYMENT_TAG}": "${DeploymentId}"},
        "Null": {f"aws:RequestTag/{SCAN_TAG}": PRESENT},
        "ForAllValues:StringEquals": {"aws:TagKeys": OWN_TAGS},
    }


def excluded() -> Conditions:
    """Return the condition that a resource has the tag that excludes it."""
    return {"Null": {f"aws:ResourceTag/{EXCLUSION_TAG}": PRESENT}}


def by_ebs() -> Conditions:
    """Return the condition that EBS calls KMS for a volume's or a snapshot's key.

    As in AWS's managed policy for agentless scanning of EC2.
    """
    return {
        "StringLike": {
            "kms:ViaService": ("ec2.*.amazonaws.com", "ec2.*.amazonaws.com.cn"),
            "kms:EncryptionContext:aws:ebs:id": ("vol-*", "snap-*"),
        }
    }


def joined(*conditions: Mapping[str, Mapping[str, Values]]) -> Conditions:
    """Return conditions that all hold; none may name a key twice under one operator."""
    result: Conditions = {}
    for one in conditions:
        for operator, keys in one.items():
            known = result.setdefault(operator, {})
            if known.keys() & keys.keys():
                raise ValueError(f"{operator}: {sorted(known.keys() & keys.keys())} twice")
            known.update(keys)
    return result
