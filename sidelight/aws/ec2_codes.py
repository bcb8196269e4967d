"""EC2's error codes that decide what becomes of a scan. Source: the EC2 API's error codes."""

from __future__ import annotations

from sidelight.aws.faults import THROTTLES

GONE = "InvalidSnapshot.NotFound"
# All tools together have as many pending snapshots in the account-region as AWS allows.
PENDING_LIMIT = "PendingSnapshotLimitExceeded"
# Transient capacity errors: retry later.
BUSY = frozenset(
    {
        "ConcurrentSnapshotLimitExceeded",
        "SnapshotCreationPerVolumeRateExceeded",
        "SnapshotLimitExceeded",
        PENDING_LIMIT,
        "ResourceLimitExceeded",  # as CopySnapshot and the sharing of snapshots word it
    }
    | THROTTLES
)
# EC2 does not know the instance, or it or a volume is in the wrong state. Each error has transient
# causes: DescribeInstances decides which it is.
INSTANCE_DOUBTS = frozenset(
    {
        "InvalidInstanceID.NotFound",
        "IncorrectInstanceState",
        "IncorrectState",
        # "There are no attached EBS-backed volumes", among others.
        "InvalidParameterValue",
        "InvalidParameterCombination",
        "InvalidVolume.NotFound",
    }
)
# EC2's code for credentials that are not valid in a Region (HTTP 401).
STRANGER = "AuthFailure"
