"""The identity of our credentials."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from sidelight.aws.answers import required
from sidelight.aws.faults import translated

if TYPE_CHECKING:
    from mypy_boto3_sts.type_defs import GetCallerIdentityResponseTypeDef

    from sidelight.aws.session import Session


@dataclass(frozen=True, slots=True)
class CallerIdentity:
    """Whose credentials these are. `clock_offset`: seconds that our clock is ahead of AWS's.

    It is NaN for an answer without a Date. Dates have whole seconds.
    """

    account: str
    arn: str
    clock_offset: float


def caller(session: Session, *, region: str | None = None) -> CallerIdentity:
    """Return the identity of the environment's credentials, or of the hub role.

    Raises AccessDeniedError, ClockSkewError, CloudError, UsageError.
    """
    where = "sts get_caller_identity"
    answer = _identity(session, region)
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    return CallerIdentity(
        account=str(required(answer.get("Account"), "Account", where)),
        arn=str(required(answer.get("Arn"), "Arn", where)),
        clock_offset=_offset(headers.get("date", "")),
    )


def _offset(date: str) -> float:
    """Return our time minus that of a Date header, in seconds."""
    try:
        aws_time = parsedate_to_datetime(date)
    except (TypeError, ValueError):
        return float("nan")
    if aws_time.tzinfo is None:
        aws_time = aws_time.replace(tzinfo=UTC)
    return (datetime.now(UTC) - aws_time).total_seconds()


def account(session: Session, *, region: str | None = None) -> str:
    """Return the account id of the environment's credentials, 12 digits.

    Raises AccessDeniedError without credentials, CloudError.
    """
    return str(
        required(_identity(session, region).get("Account"), "Account", "sts get_caller_identity")
    )


def principal(session: Session, *, region: str | None = None) -> str:
    """Return the ARN by which a policy or a grant names us; for an assumed role, the role's.

    Raises AccessDeniedError, CloudError.
    """
    arn = str(required(_identity(session, region).get("Arn"), "Arn", "sts get_caller_identity"))
    # arn:aws:sts::123456789012:assumed-role/NAME/SESSION; it does not contain the role's path.
    start, slash, rest = arn.partition(":assumed-role/")
    if not slash:
        return arn
    return f"{start.replace(':sts:', ':iam:')}:role/{rest.partition('/')[0]}"


def _identity(session: Session, region: str | None) -> GetCallerIdentityResponseTypeDef:
    with translated("sts get_caller_identity"):
        return session.ask_sts(region, lambda client: client.get_caller_identity())
