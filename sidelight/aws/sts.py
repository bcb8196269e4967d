"""Who we are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from sidelight.aws.session import translate

if TYPE_CHECKING:
    from sidelight.aws.session import Session


def account(session: Session, *, region: str | None = None) -> str:
    """The account of the environment's credentials, of 12 digits.

    Raises AccessDeniedError without credentials, CloudError.
    """
    try:
        answer = session.client("sts", region=region).get_caller_identity()
    except (ClientError, BotoCoreError, OSError) as error:
        raise translate(error, where="sts get_caller_identity") from error
    return str(answer["Account"])
