"""Who we are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from sidelight.aws.session import translate

if TYPE_CHECKING:
    from sidelight.aws.session import Session


def account(session: Session, *, region: str | None = None) -> str:
    """The account of the environment's credentials, of 12 digits.

    Raises AccessDeniedError without credentials, CloudError.
    """
    return str(_identity(session, region)["Account"])


def principal(session: Session, *, region: str | None = None) -> str:
    """The ARN by which a policy or a grant names us: of an assumed role, the role's own.

    Raises AccessDeniedError, CloudError.
    """
    arn = str(_identity(session, region)["Arn"])
    # arn:aws:sts::123456789012:assumed-role/NAME/SESSION; a role's path is not told.
    start, slash, rest = arn.partition(":assumed-role/")
    if not slash:
        return arn
    return f"{start.replace(':sts:', ':iam:')}:role/{rest.partition('/')[0]}"


def _identity(session: Session, region: str | None) -> Any:
    try:
        return session.client("sts", region=region).get_caller_identity()
    except (ClientError, BotoCoreError, OSError) as error:
        raise translate(error, where="sts get_caller_identity") from error
