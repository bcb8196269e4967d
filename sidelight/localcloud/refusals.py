"""AWS's own words for what it refuses, each with the place where they are quoted.

Codes are what a client goes by. The texts are here so that nothing of ours rests on texts that AWS
never writes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight.localcloud.faults import FaultKind, FaultPlan, Rule

if TYPE_CHECKING:
    from collections.abc import Mapping

TEXTS: Mapping[str, str] = {
    # AWS Backup's table of errors; pingcap/tidb issue 44325.
    "PendingSnapshotLimitExceeded": "Maximum allowed active snapshot limit exceeded.",
    # AWS Backup's table of errors.
    "ConcurrentSnapshotLimitExceeded": (
        "Maximum allowed in-progress snapshots for a single volume exceeded."
    ),
    # vmware-tanzu/velero issue 5776; kubernetes-sigs/aws-ebs-csi-driver issue 1608.
    "SnapshotCreationPerVolumeRateExceeded": (
        "The maximum per volume CreateSnapshot request rate has been exceeded. Use an increasing or"
        " variable sleep interval between requests."
    ),
    # hashicorp/packer issue 7499.
    "OperationNotPermitted": "Encrypted snapshots with EBS default key cannot be shared",
    # cloud-custodian's recording test_ami_deregister_delete_snap.
    "InvalidSnapshot.NotFound": "The snapshot '{id}' does not exist.",
    # EC2's list of error codes.
    "InvalidInstanceID.NotFound": "The instance ID '{id}' does not exist",
    # CopySnapshot in EC2's list of error codes.
    "IncorrectState": "Snapshot '{id}' is not 'completed'.",
    # Public code that quotes the answer.
    "InvalidParameterValue": (
        "There are no attached EBS-backed volumes on the instance id ({id})."
    ),
    # turbot/steampipe-plugin-aws issue 1510.
    "RegionDisabledException": (
        "STS is not activated in this region for account:{id}. Your account administrator can"
        " activate STS in this region using the IAM Console."
    ),
    # turbot/steampipe-plugin-aws issue 75; 99designs/aws-vault issue 512.
    "AuthFailure": "AWS was not able to validate the provided access credentials",
    # grafana/grafana issue 46 and others.
    "UnrecognizedClientException": "The security token included in the request is invalid.",
    # EC2's list of error codes.
    "RequestExpired": "Request has expired.",
    # "Troubleshoot Signature Version 4", IAM manual.
    "SignatureExpired": "Signature expired: {signed} is now earlier than {limit} ({now} - 5 min.)",
    "SignatureNotYetCurrent": (
        "Signature not yet current: {signed} is still later than {limit} ({now} + 5 min.)"
    ),
    # awslabs/coldsnap issue 216.
    "AccessDeniedException": (
        "User: {user} is not authorized to perform: ebs:{operation} on resource:"
        " arn:aws:ec2:{region}::snapshot/{id}"
    ),
}

# (operations, code, HTTP status, EBS direct's reason, message)
THROTTLES = (
    # Of one snapshot: awslabs/flexible-snapshot-proxy src/fsp.py; reason: the API reference.
    ("ebs:*", "RequestThrottledException", 400, "RESOURCE_LEVEL_THROTTLE", "Rate exceeded"),
    # Of the account: without a Reason (the same source).
    ("ebs:*", "ThrottlingException", 400, "", "Rate exceeded"),
    # The API reference's other reason.
    ("ebs:*", "RequestThrottledException", 400, "ACCOUNT_THROTTLED", "Rate exceeded"),
    # The API's model has this one, for what EBS direct itself depends on.
    (
        "ebs:*",
        "ServiceQuotaExceededException",
        402,
        "DEPENDENCY_SERVICE_QUOTA_EXCEEDED",
        "Quota exceeded",
    ),
    # EC2's list of error codes.
    ("ec2:*", "RequestLimitExceeded", 503, "", "Request limit exceeded."),
    # botocore's own list of throttles (botocore/retries/standard.py).
    ("ec2:*", "EC2ThrottledException", 503, "", "Request limit exceeded."),
    ("kms:*", "ThrottlingException", 400, "", "Rate exceeded"),
    ("sts:*", "Throttling", 400, "", "Rate exceeded"),
    # boto/boto3 issue 1588.
    (
        "organizations:*",
        "TooManyRequestsException",
        400,
        "",
        "You have sent too many requests in too short a period of time.",
    ),
    # awslabs/aws-deployment-framework issues 781, 784, 788.
    (
        "organizations:*",
        "TooManyRequestsException",
        400,
        "",
        (
            "AWS Organizations can't complete your request because another request is already in"
            " progress. Try again later."
        ),
    ),
)


def text(code: str, texts: Mapping[str, str], **values: object) -> str:
    """AWS's message for a code; `texts` (a recording's) come first."""
    template = texts.get(code) or TEXTS[code]
    for name, value in values.items():
        template = template.replace("{" + name + "}", str(value))
    return template


def throttles(rate: float, seed: int) -> FaultPlan:
    """Each service's throttles, together at about this rate of its calls."""
    if rate <= 0:
        return FaultPlan()
    services = [operations for operations, *_ in THROTTLES]
    rules = [
        Rule(
            FaultKind.ERROR,
            operation=operations,
            probability=rate / services.count(operations),
            code=code,
            status=status,
            reason=reason,
            message=message,
        )
        for operations, code, status, reason, message in THROTTLES
    ]
    return FaultPlan(rules, seed=seed)
