"""Translate errors of the EBS direct APIs, and decide whether a retry may succeed.

Source: the APIs' reference, for each exception and its Reason. The answer for a snapshot that is
not completed is not documented, so no text decides anything here.
"""

from __future__ import annotations

from http import HTTPStatus

from botocore.exceptions import ClientError

from sidelight.aws.environment_errors import describe, environment_error
from sidelight.aws.faults import (
    DENIED,
    KEY_DENIED,
    REGION_DISABLED,
    clock_offset,
    code_of,
    is_throttle,
    message_of,
    status_of,
    translate,
)
from sidelight.errors import (
    AccessDeniedError,
    BlockError,
    KeyDeniedError,
    KeyUnusableError,
    OwnCredentialsError,
    RegionDisabledError,
    SnapshotNotFoundError,
    SnapshotNotReadyError,
    SourceError,
    ThrottledError,
)

# The dependency is KMS. It denies us the key: a grant may allow it, and a new grant takes minutes.
KEY_REFUSALS = frozenset({"DEPENDENCY_ACCESS_DENIED", "GRANT_NOT_FOUND"})
# The key is disabled, pending deletion, or deleted.
KEY_FAULTS = frozenset({"INVALID_CUSTOMER_KEY", "DEPENDENCY_RESOURCE_NOT_FOUND"})
KEY_REASONS = KEY_REFUSALS | KEY_FAULTS
STALE = frozenset({"INVALID_BLOCK_TOKEN", "INVALID_PAGE_TOKEN"})
ABSENT = frozenset({"SNAPSHOT_NOT_FOUND", ""})  # reasons of a 404 that mean the snapshot itself
# Errors that may pass within seconds: EBS direct learns of a snapshot, its tags, a share and a
# grant later than EC2 and KMS, and each of its hosts at its own time.
LATE = (SnapshotNotFoundError, SnapshotNotReadyError, AccessDeniedError)
# IAM's text for a missing permission; awslabs/coldsnap issue 216. A condition on a tag that has not
# arrived yet has the same text, but the tag arrives within the two minutes that AWS recommends
# (issue 43).
LACKS_A_RIGHT = "is not authorized to perform: ebs:"
DENIED_SECONDS = 120.0
STEP, LONGEST_STEP = 5.0, 60.0  # seconds between two attempts


class AgainError(Exception):
    """An error that a retry may fix; `fault` is the error to raise if none does."""

    def __init__(self, fault: SourceError) -> None:
        super().__init__(str(fault))
        self.fault = fault


def is_late(fault: Exception) -> bool:
    """Whether EBS direct may not know yet what EC2 and KMS already know."""
    lasting = isinstance(fault, KeyUnusableError | RegionDisabledError | OwnCredentialsError)
    return isinstance(fault, LATE) and not lasting


def patience(fault: Exception, late_seconds: float) -> float:
    """Return the seconds to retry for a completed snapshot that EBS direct refuses like this."""
    denied = isinstance(fault, AccessDeniedError) and not isinstance(fault, KeyDeniedError)
    lacks = denied and LACKS_A_RIGHT in str(fault)
    return min(DENIED_SECONDS, late_seconds) if lacks else late_seconds


def retry_delay(waited: float) -> float:
    """Return the seconds until the next attempt: half of those waited so far, within bounds."""
    return min(LONGEST_STEP, max(STEP, waited / 2))


def fault_of(error: Exception, *, where: str, snapshot: str, first: bool = False) -> Exception:
    """Return the error for a failed call: AgainError where a retry may succeed.

    `first`: the call is a snapshot's first. A refusal without a known cause is then a
    SnapshotNotReadyError: only EC2 knows whether the snapshot is pending.
    """
    environments = environment_error(error, where=where)
    if environments is not None:
        return environments
    if not isinstance(error, ClientError):
        return AgainError(BlockError(f"the connection failed: {describe(error)}", where=where))
    code, reason, status = code_of(error), reason_of(error), status_of(error)
    text = f"{code}: {message_of(error)}"
    fault: Exception
    if is_throttle(code, status):
        fault = AgainError(ThrottledError(f"throttled ({reason or code})", where=where))
    elif reason in KEY_REASONS:
        unusable = f"the KMS key cannot be used: {reason}: {message_of(error)} ({KEY_DENIED})"
        kind = KeyUnusableError if reason in KEY_FAULTS else KeyDeniedError
        fault = kind(unusable, where=where)
    elif reason in STALE or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        fault = AgainError(BlockError(text, where=where))
    elif _is_absent(code, reason):
        fault = SnapshotNotFoundError(message_of(error), where=snapshot)
    elif code in DENIED | REGION_DISABLED or clock_offset(error) is not None:
        fault = translate(error, where=where)
    elif first:
        fault = SnapshotNotReadyError(text, where=snapshot)
    else:
        fault = SourceError(text, where=where)
    return fault


def _is_absent(code: str, reason: str) -> bool:
    named = code == "ResourceNotFoundException" and reason in ABSENT
    return named or reason == "INVALID_SNAPSHOT_ID"


def reason_of(error: ClientError) -> str:
    """Return EBS direct's machine-readable reason, which botocore stores next to the error."""
    reason = error.response.get("Reason")
    return reason if isinstance(reason, str) else ""
