"""Page and block tokens: opaque, bound to what they were given for, and expiring.

At most 256 characters of `[A-Za-z0-9+/=]`, as the EBS direct APIs' model has them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sidelight.localcloud.clock import Clock

PAGE_SECONDS = 3600
BLOCK_SECONDS = 7 * 86400

_PAGE = struct.Struct(">dQI")  # expiry; the index to go on from; pages so far
_BLOCK = struct.Struct(">d")  # expiry
_MAC = 16


class Tokens:
    """Gives tokens and takes them back. `clock` decides what has expired."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._key = secrets.token_bytes(32)

    def block_expiry(self) -> float:
        """Seconds since the epoch at which a block token given now expires."""
        return self._clock.now() + BLOCK_SECONDS

    def block(self, snapshot: str, index: int, expiry: float) -> str:
        """The token of one block of one snapshot."""
        head = _BLOCK.pack(expiry)
        return _text(head + self._mac(head, f"block {snapshot} {index}"))

    def check_block(self, token: str, snapshot: str, index: int) -> bool:
        """Whether the token is ours, for this block, and still good."""
        data = _bytes(token)
        if len(data) != _BLOCK.size + _MAC:
            return False
        head = data[: _BLOCK.size]
        (expiry,) = _BLOCK.unpack(head)
        mac = self._mac(head, f"block {snapshot} {index}")
        return hmac.compare_digest(mac, data[_BLOCK.size :]) and self._clock.now() < expiry

    def page(self, listing: str, start: int, pages: int) -> str:
        """The token for the next page of `listing`, which names operation and snapshots."""
        head = _PAGE.pack(self._clock.now() + PAGE_SECONDS, start, pages)
        return _text(head + self._mac(head, f"page {listing}"))

    def check_page(self, token: str, listing: str) -> tuple[int, int] | None:
        """`(start, pages)` of a good token, else None."""
        data = _bytes(token)
        if len(data) != _PAGE.size + _MAC:
            return None
        head = data[: _PAGE.size]
        expiry, start, pages = _PAGE.unpack(head)
        mac = self._mac(head, f"page {listing}")
        if not hmac.compare_digest(mac, data[_PAGE.size :]) or self._clock.now() >= expiry:
            return None
        return start, pages

    def _mac(self, head: bytes, subject: str) -> bytes:
        return hmac.digest(self._key, head + subject.encode(), hashlib.sha256)[:_MAC]


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(token: str) -> bytes:
    try:
        return base64.b64decode(token.encode(), validate=True)
    except (binascii.Error, ValueError):
        return b""
