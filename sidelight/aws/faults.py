"""The meaning of AWS's error codes, and the translation of botocore errors to Sidelight's.

Sources: EC2's list of error codes, the common errors of AWS's APIs, the IAM manual on signatures
and on Regions, and botocore's own list of throttles (`botocore.retries.standard`).
"""

from __future__ import annotations

import math
import re
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from sidelight.aws.environment_errors import describe, environment_error
from sidelight.errors import (
    AccessDeniedError,
    ClockSkewError,
    CloudError,
    KeyUnusableError,
    OwnCredentialsError,
    RegionDisabledError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.errors import SidelightError

# Errors of a call without an answer of AWS: a connection that failed, and an answer that botocore
# cannot read (a proxy's page, any bytes), which it reports by errors that are not its own base's.
CONNECTION = (BotoCoreError, OSError, ResponseParserError, UnicodeDecodeError)
CALL_FAILURES = (ClientError, *CONNECTION)
DENIED = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "UnauthorizedOperation",
        "AuthFailure",
        "AccountNotFoundException",
        "ExpiredToken",
        "ExpiredTokenException",
        "RequestExpired",
        "InvalidClientTokenId",
        "UnrecognizedClientException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "SignatureDoesNotMatch",
        "InvalidSignatureException",
    }
)
# The account has not enabled the Region, or its administrator has switched STS off there.
REGION_DISABLED = frozenset({"OptInRequired", "RegionDisabledException"})
EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
# botocore retries all of these as throttles. A test compares the set with botocore's.
THROTTLES = frozenset(
    {
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
# A quota of KMS or EBS, of EBS direct (HTTP 402): it is transient, as a throttle is.
QUOTAS = frozenset({"ServiceQuotaExceededException"})
# EC2's permanent error codes for a key that it cannot use.
KEY_UNUSABLE = frozenset({"CustomerKeyHasBeenRevoked", "InvalidKMSKey.InvalidState"})
# AWS's error codes for a wrong clock; each has other causes, so AWS's own time decides.
_UNSIGNED = frozenset(
    {"AuthFailure", "InvalidSignatureException", "RequestExpired", "SignatureDoesNotMatch"}
)
_SKEWED = frozenset({"RequestInTheFuture", "RequestTimeTooSkewed"})
SKEW = 240.0  # seconds; a signature is valid for 5 minutes, at EC2 for 15
# The IAM manual's texts, for an answer without a Date.
_OUT_OF_TIME = re.compile(r"^Signature (?:expired|not yet current)")
_ENCODED = re.compile(r"(Encoded authorization failure message:)\s*(\S+)")
LONGEST_MESSAGE = 1000  # characters

KEY_DENIED = (
    "the KMS key must let the reading role decrypt: kms:Decrypt in the role's own policy and, for "
    "a role of another account, in the key's policy or by a grant; see docs/accounts.md"
)


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Raise botocore's errors within the block as ours, as `translate` does."""
    try:
        yield
    except CALL_FAILURES as error:
        raise translate(error, where=where) from error


def translate(error: Exception, *, where: str) -> SidelightError:
    """Return the Sidelight error for a botocore error; `where` are its coordinates."""
    environments = environment_error(error, where=where)
    if environments is not None:
        return environments
    if not isinstance(error, ClientError):
        return CloudError(describe(error), where=where)
    code, text = code_of(error), f"{code_of(error)}: {message_of(error)}"
    offset = clock_offset(error)
    fault: SidelightError = CloudError(text, where=where, code=code)
    if offset is not None:
        fault = ClockSkewError(_skewed(text, offset), where=where)
    elif code in REGION_DISABLED:
        fault = RegionDisabledError(text, where=where)
    elif code in KEY_UNUSABLE:
        fault = KeyUnusableError(text, where=where)
    elif code in EXPIRED:
        fault = OwnCredentialsError(text, where=where)
    elif code in DENIED and error.response.get("Reason") == "DEPENDENCY_ACCESS_DENIED":
        fault = AccessDeniedError(f"{text} ({KEY_DENIED})", where=where)
    elif code in DENIED:
        fault = AccessDeniedError(text, where=where)
    return fault


def translate_any(error: Exception) -> SidelightError | None:
    """Translate any error; None for an error that is not botocore's."""
    known = ClientError | BotoCoreError | ResponseParserError
    return translate(error, where="") if isinstance(error, known) else None


def code_of(error: Exception) -> str:
    """Return AWS's error code; empty for an error that is not AWS's."""
    if not isinstance(error, ClientError):
        return ""
    return str(error.response.get("Error", {}).get("Code", ""))


def message_of(error: ClientError) -> str:
    """Return AWS's text, shortened: without the encoded part that EC2 adds to a refusal."""
    message = str(error.response.get("Error", {}).get("Message", "") or error)
    message = _ENCODED.sub(lambda match: f"{match[1]} {len(match[2])} characters left out", message)
    return message if len(message) <= LONGEST_MESSAGE else f"{message[:LONGEST_MESSAGE]}…"


def status_of(error: ClientError) -> int:
    """Return the HTTP status; 0 if the answer has none."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return int(status or 0)


def is_throttle(code: str, status: int) -> bool:
    """Whether an answer of EBS direct is a throttle, by its error code and HTTP status."""
    return code in THROTTLES | QUOTAS or status == HTTPStatus.PAYMENT_REQUIRED


def may_pass(error: Exception) -> bool:
    """Return whether a retry of a failed call may succeed: a throttle, AWS's own or the network's.

    Credentials and configuration do not come by waiting.
    """
    if environment_error(error) is not None:
        return False
    if not isinstance(error, ClientError):
        return True
    return code_of(error) in THROTTLES or status_of(error) >= HTTPStatus.INTERNAL_SERVER_ERROR


def clock_offset(error: ClientError) -> float | None:
    """Return the seconds by which our clock is ahead of AWS's, if AWS refused the call for that.

    None for every other error; NaN where AWS blames the clock without stating the offset.
    """
    code = code_of(error)
    if code not in _UNSIGNED | _SKEWED:
        return None
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    try:
        aws_time = parsedate_to_datetime(headers.get("date", ""))
    except (TypeError, ValueError):
        named = code in _SKEWED or _OUT_OF_TIME.match(message_of(error))
        return float("nan") if named else None
    if aws_time.tzinfo is None:
        aws_time = aws_time.replace(tzinfo=UTC)
    offset = (datetime.now(UTC) - aws_time).total_seconds()
    return offset if abs(offset) > SKEW or code in _SKEWED else None


def _skewed(text: str, offset: float) -> str:
    by = "" if math.isnan(offset) else f" ({abs(offset):.0f} s {'fast' if offset > 0 else 'slow'})"
    return f"this machine's clock is wrong{by}: {text}"
