"""The identity of our credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sidelight.aws.answers import member
from sidelight.aws.faults import translated

if TYPE_CHECKING:
    from sidelight.aws.session import Session


def account(session: Session, *, region: str | None = None) -> str:
    """Return the account id of the environment's credentials, 12 digits.

    Raises AccessDeniedError without credentials, CloudError.
    """
    return str(member(_identity(session, region), "Account", "sts get_caller_identity"))


def principal(session: Session, *, region: str | None = None) -> str:
    """Return the ARN by which a policy or a grant names us; for an assumed role, the role's.

    Raises AccessDeniedError, CloudError.
    """
    arn = str(member(_identity(session, region), "Arn", "sts get_caller_identity"))
    # arn:aws:sts::123456789012:assumed-role/NAME/SESSION; it does not contain the role's path.
    start, slash, rest = arn.partition(":assumed-role/")
    if not slash:
        return arn
    return f"{start.replace(':sts:', ':iam:')}:role/{rest.partition('/')[0]}"


def _identity(session: Session, region: str | None) -> Any:
    with translated("sts get_caller_identity"):
        return session.ask_sts(region, lambda client: client.get_caller_identity())
