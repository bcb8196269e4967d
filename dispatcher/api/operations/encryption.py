"""GetEncryptionKey, UpdateEncryptionKey, ResetEncryptionKey: kept and read back.

Inspector encrypts the code of functions and repositories with these keys. Sidelight stores none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dispatcher.api.errors import ResourceNotFoundError
from dispatcher.api.operations.request_values import text

if TYPE_CHECKING:
    from dispatcher.api.call import ApiRequest, ApiResponse, Call


def _of(call: Call, request: ApiRequest) -> tuple[str, str, str, str]:
    return (
        call.account_id, call.region, text(request, "scanType"), text(request, "resourceType"),
    )  # fmt: skip


def get_encryption_key(call: Call, request: ApiRequest) -> ApiResponse:
    """GetEncryptionKey."""
    key = call.services.store.encryption_keys.get(*_of(call, request))
    if not key:
        raise ResourceNotFoundError("no key is set for this scan type and resource type")
    return {"kmsKeyId": key}


def update_encryption_key(call: Call, request: ApiRequest) -> ApiResponse:
    """UpdateEncryptionKey."""
    call.services.store.encryption_keys.put(*_of(call, request), text(request, "kmsKeyId"))
    return {}


def reset_encryption_key(call: Call, request: ApiRequest) -> ApiResponse:
    """ResetEncryptionKey: back to no key."""
    where = _of(call, request)
    if not call.services.store.encryption_keys.get(*where):
        raise ResourceNotFoundError("no key is set for this scan type and resource type")
    call.services.store.encryption_keys.put(*where, "")
    return {}


HANDLERS = {
    "GetEncryptionKey": get_encryption_key,
    "UpdateEncryptionKey": update_encryption_key,
    "ResetEncryptionKey": reset_encryption_key,
}
