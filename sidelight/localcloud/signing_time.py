"""When a request was signed: AWS refuses what is older or newer than some minutes.

Sources: "Troubleshoot Signature Version 4" in the IAM manual; EC2's list of error codes.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sidelight.localcloud.messages import AwsError
from sidelight.localcloud.refusals import TEXTS, text

if TYPE_CHECKING:
    from sidelight.localcloud.messages import Request

SECONDS, EC2_SECONDS = 300.0, 900.0
_FORM = "%Y%m%dT%H%M%SZ"


def check(request: Request, service: str, now: float) -> None:
    """Raise AwsError for a signature that is not of now. `now`: by AWS's clock."""
    try:
        signed = datetime.strptime(request.headers.get("x-amz-date", ""), _FORM)  # noqa: DTZ007
    except ValueError:
        return
    age = now - signed.replace(tzinfo=UTC).timestamp()
    if abs(age) <= (EC2_SECONDS if service == "ec2" else SECONDS):
        return
    if service == "ec2":
        raise AwsError("RequestExpired", TEXTS["RequestExpired"])
    code = "SignatureDoesNotMatch" if service in ("sts", "iam") else "InvalidSignatureException"
    message = text(
        "SignatureExpired" if age > 0 else "SignatureNotYetCurrent",
        {},
        signed=signed.strftime(_FORM),
        limit=_written(now - SECONDS if age > 0 else now + SECONDS),
        now=_written(now),
    )
    raise AwsError(code, message, status=403)


def _written(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime(_FORM)
