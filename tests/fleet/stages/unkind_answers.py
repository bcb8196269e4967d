"""AWS's answers that a scan survives, and those that end it: status and reason of each."""

from __future__ import annotations

# What stops no scan, however often a few seconds have it: by call, with HTTP status and reason.
PASSING = [
    *(
        (call, code, status, "")
        for call in ("create_snapshots", "describe_snapshots", "delete_snapshot")
        for code, status in (
            ("RequestLimitExceeded", 503), ("EC2ThrottledException", 503), ("InternalError", 500),
            ("Unavailable", 503), ("", 0),
        )
    ),
    *(
        ("create_snapshots", code, 400, "")
        for code in (
            "InvalidInstanceID.NotFound", "IncorrectInstanceState", "IncorrectState",
            "InvalidVolume.NotFound", "InvalidParameterValue", "PendingSnapshotLimitExceeded",
            "ConcurrentSnapshotLimitExceeded", "SnapshotCreationPerVolumeRateExceeded",
            "SnapshotLimitExceeded", "ResourceLimitExceeded", "RequestExpired", "ExpiredToken",
        )
    ),
    ("describe_snapshots", "InvalidNextToken", 400, ""),
    ("describe_snapshots", "RequestExpired", 400, ""),
    ("delete_snapshot", "InvalidSnapshot.NotFound", 400, ""),
    ("delete_snapshot", "InvalidSnapshot.InUse", 400, ""),
    ("delete_snapshot", "OperationNotPermitted", 400, ""),
    *(
        (call, code, status, reason)
        for call in ("list_snapshot_blocks", "get_snapshot_block")
        for code, status, reason in (
            ("ResourceNotFoundException", 404, "SNAPSHOT_NOT_FOUND"),
            ("ResourceNotFoundException", 404, ""),
            ("ResourceNotFoundException", 404, "GRANT_NOT_FOUND"),
            ("AccessDeniedException", 403, "UNAUTHORIZED_ACCOUNT"),
            ("AccessDeniedException", 403, "DEPENDENCY_ACCESS_DENIED"),
            ("ValidationException", 400, "INVALID_SNAPSHOT_ID"),
            ("ValidationException", 400, "INVALID_PARAMETER_VALUE"),
            ("ValidationException", 400, ""),
            ("ValidationException", 400, "INVALID_BLOCK_TOKEN"),
            ("ValidationException", 400, "INVALID_PAGE_TOKEN"),
            ("RequestThrottledException", 400, "RESOURCE_LEVEL_THROTTLE"),
            ("ThrottlingException", 400, ""),
            ("ServiceQuotaExceededException", 402, "DEPENDENCY_SERVICE_QUOTA_EXCEEDED"),
            ("ConcurrentLimitExceededException", 400, ""),
            ("InternalServerException", 500, ""),
            ("ExpiredTokenException", 403, ""),
            ("", 0, ""),
        )
    ),
]  # fmt: skip
# What does not pass, and the coverage that a person can act on.
LASTING = [
    ("create_snapshots", "UnauthorizedOperation", 403, "", "ACCESS_DENIED"),
    ("create_snapshots", "OptInRequired", 401, "", "REGION_NOT_ENABLED"),
    ("create_snapshots", "CustomerKeyHasBeenRevoked", 400, "", "ACCESS_DENIED_TO_ENCRYPTION_KEY"),
    ("create_snapshots", "InvalidKMSKey.InvalidState", 400, "", "ACCESS_DENIED_TO_ENCRYPTION_KEY"),
    ("create_snapshots", "IncorrectState", 400, "", "INTERNAL_ERROR"),
    ("create_snapshots", "Blocked", 403, "", "INTERNAL_ERROR"),
    ("create_snapshots", "InternalError", 500, "", "INTERNAL_ERROR"),
    ("create_snapshots", "RequestLimitExceeded", 503, "", "INTERNAL_ERROR"),
    ("list_snapshot_blocks", "AccessDeniedException", 403, "", "ACCESS_DENIED"),
    ("list_snapshot_blocks", "OptInRequired", 403, "", "REGION_NOT_ENABLED"),
    *(
        (call, code, status, reason, reported)
        for call in ("list_snapshot_blocks", "get_snapshot_block")
        for code, status, reason, reported in (
            ("ResourceNotFoundException", 404, "SNAPSHOT_NOT_FOUND", "INTERNAL_ERROR"),
            ("ResourceNotFoundException", 404, "IMAGE_NOT_FOUND", "INTERNAL_ERROR"),
            ("ValidationException", 400, "INVALID_PARAMETER_VALUE", "INTERNAL_ERROR"),
            ("ThrottlingException", 400, "", "INTERNAL_ERROR"),
            ("ServiceQuotaExceededException", 402, "", "INTERNAL_ERROR"),
            *(
                (code, status, reason, "ACCESS_DENIED_TO_ENCRYPTION_KEY")
                for code, status, reason in (
                    ("AccessDeniedException", 403, "DEPENDENCY_ACCESS_DENIED"),
                    ("ResourceNotFoundException", 404, "GRANT_NOT_FOUND"),
                    ("ResourceNotFoundException", 404, "DEPENDENCY_RESOURCE_NOT_FOUND"),
                    ("ValidationException", 400, "INVALID_CUSTOMER_KEY"),
                )
            ),
        )
    ),
]
