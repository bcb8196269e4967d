"""What a failed call of the EBS direct APIs means, and whether another may do better.

Source: the APIs' reference, for each exception and its Reason.
"""

from __future__ import annotations

from http import HTTPStatus

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    PartialCredentialsError,
)

from sidelight.aws.session import DENIED, KEY_DENIED, THROTTLES, translate
from sidelight.errors import (
    BlockError,
    KeyDeniedError,
    SnapshotNotFoundError,
    SnapshotNotReadyError,
    SourceError,
    ThrottledError,
)

# What a broken answer raises: botocore also decodes error bodies, which may be anything.
CONNECTION = (BotoCoreError, OSError, UnicodeDecodeError)
# The dependency is KMS: the key is denied to us, disabled or pending deletion, or gone.
KEY_REASONS = frozenset(
    {"DEPENDENCY_ACCESS_DENIED", "INVALID_CUSTOMER_KEY", "DEPENDENCY_RESOURCE_NOT_FOUND"}
)
STALE = frozenset({"INVALID_BLOCK_TOKEN", "INVALID_PAGE_TOKEN"})


class AgainError(Exception):
    """A call that another try may mend; `fault` is what it is if none does."""

    def __init__(self, fault: SourceError) -> None:
        super().__init__(str(fault))
        self.fault = fault


def fault_of(error: Exception, *, where: str, snapshot: str) -> Exception:
    """What to raise for a failed call: AgainError for what another try may mend."""
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return translate(error, where=where)
    if not isinstance(error, ClientError):
        return AgainError(BlockError(f"the connection failed: {error}", where=where))
    code, reason = code_of(error), reason_of(error)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    message = error.response.get("Error", {}).get("Message", "") or code
    fault: Exception
    if code in THROTTLES:
        fault = AgainError(ThrottledError(f"throttled ({reason or code})", where=where))
    elif reason in KEY_REASONS:
        told = f"the KMS key cannot be used: {reason}: {message} ({KEY_DENIED})"
        fault = KeyDeniedError(told, where=where)
    elif reason in STALE or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        fault = AgainError(BlockError(f"{code}: {message}", where=where))
    elif "pending" in message.lower() or "completed" in message.lower():
        # No reason of its own is documented for this: it comes as a ValidationException.
        fault = SnapshotNotReadyError(message, where=snapshot)
    elif code == "ResourceNotFoundException" or reason == "INVALID_SNAPSHOT_ID":
        fault = SnapshotNotFoundError(message, where=snapshot)
    elif code in DENIED:
        fault = translate(error, where=where)
    else:
        fault = SourceError(f"{code}: {message}", where=where)
    return fault


def reason_of(error: ClientError) -> str:
    """EBS direct's machine-readable reason, which botocore puts beside the error."""
    reason = error.response.get("Reason")
    return reason if isinstance(reason, str) else ""


def code_of(error: Exception) -> str:
    """AWS's error code, empty for an error that is not AWS's."""
    if not isinstance(error, ClientError):
        return ""
    return str(error.response.get("Error", {}).get("Code", ""))
