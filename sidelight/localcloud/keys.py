"""What KMS says of encrypted snapshots: which can be shared, and who else can read them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from moto.kms.models import kms_backends

if TYPE_CHECKING:
    from sidelight.localcloud.shelf import ShelfSnapshot


def shareable(snapshot: Any) -> bool:
    """False under a key that AWS manages (aws/ebs): its policy lets no other account in."""
    key = _key(snapshot)
    return key is None or key.key_manager != "AWS"


def usable(snapshot: Any) -> bool:
    """False under a key that is disabled, or waits for its deletion."""
    key = _key(snapshot)
    return key is None or (key.enabled and key.key_state == "Enabled")


def readable(snapshot: ShelfSnapshot, account: str) -> bool:
    """Whether the account may decrypt: its own, or by the key's policy, or by a grant.

    Of a policy are read the statements that allow a whole account or `arn:aws:iam::ACCOUNT:…`;
    which of the account's principals calls is not looked at.
    """
    key = _key(snapshot)
    if key is None or account == snapshot.owner_id:
        return True
    principals = [
        grant.grantee_principal for grant in key.grants.values() if "Decrypt" in grant.operations
    ]
    for statement in json.loads(key.policy)["Statement"]:
        allowed = {"kms:Decrypt", "kms:*"} & set(_list(statement["Action"]))
        if statement["Effect"] == "Allow" and allowed:
            principals += _list(statement["Principal"]["AWS"])
    return any(account in (one, _account_of(one)) for one in principals)


def _key(snapshot: Any) -> Any:
    """Its key as moto has it; None where it is not encrypted, or by a key that nobody made."""
    if not snapshot.encrypted or not snapshot.kms_key_id:
        return None
    backend = kms_backends[snapshot.owner_id][snapshot.region]
    return backend.keys.get(backend.get_key_id(snapshot.kms_key_id))


def _account_of(principal: str) -> str:
    parts = principal.split(":")
    return parts[4] if len(parts) > 4 else ""


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
