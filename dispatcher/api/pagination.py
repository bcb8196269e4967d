"""Pagination tokens: opaque, authenticated, and bound to operation, query and principal.

A token is AES-256-GCM over the position, in URL-safe base64: a caller can neither read nor change
it. The query is authenticated with it, so that it is of no use with other criteria, for another
principal, or with another operation. The size of a page is not part of the query.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
from typing import TYPE_CHECKING, Final

from dispatcher.api.errors import InvalidField, ValidationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from sidelight.model import Principal

TOKEN_SECONDS: Final = 24 * 3600  # how long a token may be used
TOKEN_LIMIT: Final = 8192  # characters; a position is one row's sort key
_NONCE: Final = 12  # bytes, as NIST SP 800-38D recommends
_VERSION: Final = b"\x01"
_PAGE_MEMBERS: Final = frozenset({"nextToken", "maxResults"})


class Pages:
    """Seals and unseals the positions of one call's operation, query and principal."""

    def __init__(self, key: bytes, binding: bytes, now: datetime) -> None:
        """`key` has 32 bytes; `binding` is what the tokens are bound to."""
        self._key = key
        self._binding = binding
        self._now = int(now.timestamp())

    def seal(self, position: Mapping[str, object]) -> str:
        """Return the token of a position, whose values are those of JSON."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        text = json.dumps([self._now, dict(position)], separators=(",", ":")).encode()
        nonce = os.urandom(_NONCE)
        sealed = AESGCM(self._key).encrypt(nonce, text, self._binding)
        return base64.urlsafe_b64encode(_VERSION + nonce + sealed).decode().rstrip("=")

    def unseal(self, token: str) -> dict[str, object]:
        """Return a token's position. Raises ValidationError for a token of anything else."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        if len(token) > TOKEN_LIMIT:
            raise _invalid()
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
            nonce, sealed = raw[1 : 1 + _NONCE], raw[1 + _NONCE :]
            if raw[:1] != _VERSION or len(nonce) != _NONCE:
                raise _invalid()
            issued, position = json.loads(AESGCM(self._key).decrypt(nonce, sealed, self._binding))
        except (binascii.Error, ValueError, InvalidTag) as error:
            raise _invalid() from error
        if self._now - issued > TOKEN_SECONDS:
            raise _invalid("has expired")
        return dict(position)


def bound_pages(
    key: bytes,
    principal: Principal,
    operation: str,
    request: Mapping[str, object],
    now: datetime,
) -> Pages:
    """Return the tokens of one request, as validated."""
    query = {name: value for name, value in request.items() if name not in _PAGE_MEMBERS}
    scope = (principal.name, principal.account_id, operation)
    text = json.dumps([*scope, query], sort_keys=True, default=str, separators=(",", ":"))
    return Pages(key, hashlib.sha256(text.encode()).digest(), now)


def page_of(
    pages: Pages, request: Mapping[str, object], at_most: int
) -> tuple[int, dict[str, object] | None]:
    """Return how many items a page has, and the position after which it begins: None at first.

    `at_most` is the size of a page where the request has no maxResults.
    """
    wanted, token = request.get("maxResults"), request.get("nextToken")
    size = wanted if isinstance(wanted, int) else at_most
    return size, pages.unseal(token) if isinstance(token, str) and token else None


def answer_page(
    name: str,
    items: list[dict[str, object]],
    size: int,
    pages: Pages,
    position: Callable[[], Mapping[str, object]],
) -> dict[str, object]:
    """Return a page's answer from up to `size` + 1 items: one too many means that more follow.

    `position` returns the position of the last item of the page, and is called only if so.
    """
    answer: dict[str, object] = {name: items[:size]}
    if len(items) > size:
        answer["nextToken"] = pages.seal(position())
    return answer


def _invalid(why: str = "is not valid for this request") -> ValidationError:
    field = InvalidField("nextToken", why)
    return ValidationError(f"nextToken {why}", fields=[field])
