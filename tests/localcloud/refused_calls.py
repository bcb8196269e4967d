"""How a call of the local cloud is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable


OTHER = "999999999999"


def refused(call: Callable[[], Any]) -> tuple[str, str, int]:
    """Code, message and HTTP status of a refusal."""
    with pytest.raises(ClientError) as error:
        call()
    answer = error.value.response
    status = answer["ResponseMetadata"]["HTTPStatusCode"]
    return answer["Error"]["Code"], answer["Error"]["Message"], status
