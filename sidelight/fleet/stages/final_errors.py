"""Errors of a scan that no further attempt would fix, and their coverage reasons."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sidelight.errors import (
    AccessDeniedError,
    KeyDeniedError,
    RegionDisabledError,
    SidelightError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidelight.aws.ec2 import SnapshotInfo

PENDING, COMPLETED = "pending", "completed"
TIME_LIMIT = "AGENTLESS_INSTANCE_COLLECTION_TIME_LIMIT_EXCEEDED"
# Coverage reasons that Inspector does not have.
REGION_NOT_ENABLED = "REGION_NOT_ENABLED"
NO_EBS_VOLUME = "NO_EBS_VOLUME"


class GiveUpError(SidelightError):
    """An error that no further attempt would fix; `code` is the coverage reason."""

    def __init__(self, what: str, *, where: str = "", code: str = "INTERNAL_ERROR") -> None:
        super().__init__(what, where=where)
        self.code = code


def code_of(error: Exception) -> str:
    """Return the coverage reason for an error, Inspector's own where it has one."""
    if isinstance(error, GiveUpError):
        return error.code
    if isinstance(error, RegionDisabledError):
        return REGION_NOT_ENABLED
    # EC2 has no error code for a key that it cannot use; its message names KMS or the key's id.
    if isinstance(error, KeyDeniedError) or _names_a_key(str(error)):
        return "ACCESS_DENIED_TO_ENCRYPTION_KEY"
    return "ACCESS_DENIED" if isinstance(error, AccessDeniedError) else "INTERNAL_ERROR"


def check_states(infos: Iterable[SnapshotInfo]) -> None:
    """Raise GiveUpError for a snapshot that will never be completed, with EC2's message."""
    for info in infos:
        if info.state not in (PENDING, COMPLETED):
            raise GiveUpError(
                f"is in state {info.state}: {info.message}",
                where=info.id,
                code=_key_or("INTERNAL_ERROR", info.message),
            )


def _key_or(code: str, message: str) -> str:
    """Return the coverage reason for EC2's message: the key's if it names one, else `code`."""
    return "ACCESS_DENIED_TO_ENCRYPTION_KEY" if _names_a_key(message) else code


def _names_a_key(message: str) -> bool:
    return re.search(r"\bkms\b|\bkey id\b", message, re.IGNORECASE) is not None
