"""Signatures of webhooks by the Standard Webhooks specification, version 1.0.0.

A receiver computes HMAC-SHA256 over `ID.TIMESTAMP.BODY` with the shared secret, compares it with
each `v1,` signature in constant time, and refuses a timestamp that is minutes old. Libraries exist
in ten languages. Source: standardwebhooks.com.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Final

from sidelight.errors import UsageError

PREFIX: Final = "whsec_"
VARIABLE: Final = "SIDELIGHT_WEBHOOK_SECRET"
_LEAST, _MOST = 24, 64  # bytes of a secret, by the specification
HOW: Final = 'write one: echo "whsec_$(openssl rand -base64 32)"'


class WebhookSigner:
    """Signs requests with each of its secrets."""

    def __init__(self, secrets: str) -> None:
        """`secrets` are separated by blanks. Raises UsageError."""
        self._keys = [_key(text) for text in secrets.split()]
        if not self._keys:
            raise UsageError(f"a webhook needs a secret to sign with; {HOW}", where=VARIABLE)

    def headers(self, name: str, body: bytes, now: float) -> dict[str, str]:
        """Return the headers of a request: its id, the time in seconds, the signatures."""
        stamp = str(int(now))
        content = b".".join([name.encode(), stamp.encode(), body])
        digests = [hmac.new(key, content, hashlib.sha256).digest() for key in self._keys]
        return {
            "webhook-id": name,
            "webhook-timestamp": stamp,
            "webhook-signature": " ".join(
                f"v1,{base64.b64encode(each).decode()}" for each in digests
            ),
        }


def _key(text: str) -> bytes:
    if not text.startswith(PREFIX):
        raise UsageError(f"is not whsec_ and base64; {HOW}", where=VARIABLE)
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (ValueError, binascii.Error) as error:
        raise UsageError(f"is not whsec_ and base64; {HOW}", where=VARIABLE) from error
    if not _LEAST <= len(key) <= _MOST:
        raise UsageError(f"has not {_LEAST} to {_MOST} bytes; {HOW}", where=VARIABLE)
    return key
