"""Ed25519 keys of bundles, as PEM files: `openssl genpkey -algorithm ed25519 -out signing.pem`."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from sidelight.errors import DatabaseError, UsageError
from sidelight.user_files import read_user_file

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

MAX_KEY: Final = 64 << 10  # bytes of a file
MAKE_KEY: Final = "openssl genpkey -algorithm ed25519 -out signing.pem"
TAKE_PUBLIC: Final = "openssl pkey -in signing.pem -pubout -out public.pem"


def signer_of(path: Path) -> Callable[[bytes], bytes]:
    """Return what signs with the private key of a file. Raises UsageError."""
    try:
        key = load_pem_private_key(_read(path), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        what = f"is not an unencrypted private key; to make one: {MAKE_KEY}"
        raise UsageError(what, where=str(path)) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError(f"is not an Ed25519 key; to make one: {MAKE_KEY}", where=str(path))
    return key.sign


def verifier_of(paths: Sequence[Path], where: str) -> Callable[[bytes, bytes], None]:
    """Return what checks a signature by any of these public keys. Raises UsageError.

    It gets the signed bytes and the signature, and raises DatabaseError, of `where`, if none of
    the keys made it.
    """
    keys = [_public(path) for path in paths]
    if not keys:
        raise UsageError("a bundle needs the public key of its signer: --key", where=where)

    def verify(signed: bytes, signature: bytes) -> None:
        for key in keys:
            try:
                key.verify(signature, signed)
            except InvalidSignature:
                continue
            return
        names = ", ".join(_name(key) for key in keys)
        what = f"it was changed, or signed by another key than {names}"
        raise DatabaseError(what, where=where)

    return verify


def _public(path: Path) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(_read(path))
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        what = f"is not a public key; to take a private key's: {TAKE_PUBLIC}"
        raise UsageError(what, where=str(path)) from error
    if not isinstance(key, Ed25519PublicKey):
        raise UsageError("is not an Ed25519 key", where=str(path))
    return key


def _name(key: Ed25519PublicKey) -> str:
    """Return the beginning of a public key's SHA-256, to distinguish keys."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]


def _read(path: Path) -> bytes:
    return read_user_file(path, MAX_KEY, f"is larger than {MAX_KEY} bytes")
