"""Issue, list and revoke the API's access keys.

SigV4 needs the secret to verify a signature, so it cannot be hashed. It is encrypted with
AES-256-GCM by a key that the store does not have, and bound to the key's id, principal, role and
scope: someone who can only write to the store can neither read a secret nor widen a
key's rights.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from dispatcher.services.principals import check_principal
from dispatcher.services.secret_settings import secret_of
from sidelight.errors import UsageError
from sidelight.model import AccessKey, Principal, Role

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidelight.store import Store

SEAL_BYTES: Final = 32
PREFIX: Final = "SLKA"  # AWS's keys begin with AKIA: a scanner of secrets must distinguish them
VARIABLE: Final = "SIDELIGHT_ACCESS_SEAL"
_NONCE: Final = 12  # bytes, as NIST SP 800-38D recommends
_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new key and its secret, which is not shown again."""

    key: AccessKey
    secret: str


class Seal:
    """Encrypts secrets, and derives the keys of other purposes."""

    def __init__(self, key: bytes) -> None:
        """`key` has SEAL_BYTES."""
        self._key = key

    @classmethod
    def of(cls, text: str) -> Seal | None:
        """Return the seal of the setting's value; None where it is empty. Raises UsageError."""
        if not text:
            return None
        try:
            key = base64.b64decode(secret_of(text, VARIABLE), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if len(key) != SEAL_BYTES:
            raise UsageError(
                f"not {SEAL_BYTES} bytes in base64, as `openssl rand -base64 32` prints them",
                where=VARIABLE,
            )
        return cls(key)

    def encrypt(self, secret: str, key_id: str, principal: Principal) -> bytes:
        """Return the sealed secret of a key."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = os.urandom(_NONCE)
        cipher = AESGCM(self.derived("secrets"))
        return nonce + cipher.encrypt(nonce, secret.encode(), _bound_to(key_id, principal))

    def decrypt(self, key: AccessKey) -> str:
        """Return a key's secret. Raises UsageError where the seal or the row is another."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce, sealed = key.sealed[:_NONCE], key.sealed[_NONCE:]
        cipher = AESGCM(self.derived("secrets"))
        try:
            return cipher.decrypt(nonce, sealed, _bound_to(key.id, key.principal)).decode()
        except (InvalidTag, ValueError) as error:
            raise UsageError(
                f"its secret was sealed by another key than {VARIABLE}, or its row was changed",
                where=key.id,
            ) from error

    def derived(self, purpose: str) -> bytes:
        """Return the key of a purpose: HMAC-SHA-256 of its name."""
        return hmac.digest(self._key, f"sidelight {purpose}".encode(), hashlib.sha256)


class AccessKeyService:
    """Issues and revokes keys: the command line calls this."""

    def __init__(self, store: Store, seal: Seal) -> None:
        self._store = store
        self._seal = seal

    def issue(self, principal: Principal, *, days: int = 0) -> IssuedKey:
        """Issue a key, valid for so many days; 0: until it is revoked. Raises UsageError."""
        check_principal(principal)
        key_id = PREFIX + "".join(secrets.choice(_ALPHABET) for _ in range(16))
        secret = base64.b64encode(secrets.token_bytes(30)).decode()  # 40 characters, as AWS's
        now = self._store.clock()
        key = AccessKey(
            key_id,
            principal,
            self._seal.encrypt(secret, key_id, principal),
            now,
            now + timedelta(days=days) if days else None,
        )
        self._store.access_keys.add(key)
        return IssuedKey(key, secret)


def revoke(store: Store, ids: Sequence[str]) -> list[str]:
    """Revoke keys; return those that were valid. Raises UsageError for an unknown one."""
    for key_id in ids:
        if store.access_keys.get(key_id) is None:
            raise UsageError("no such access key", where=key_id[:64])
    return [key_id for key_id in ids if store.access_keys.revoke(key_id)]


def required_seal(text: str) -> Seal:
    """Return the seal of the setting's value. Raises UsageError, also where it is empty."""
    seal = Seal.of(text)
    if seal is None:
        raise UsageError(
            "set it to seal the keys' secrets, for example to what `openssl rand -base64 32` "
            "prints; the server needs the same value",
            where=VARIABLE,
        )
    return seal


def _bound_to(key_id: str, principal: Principal) -> bytes:
    accounts = None if principal.accounts is None else sorted(principal.accounts)
    role = Role(principal.role).value
    return json.dumps([key_id, principal.name, role, principal.account_id, accounts]).encode()
