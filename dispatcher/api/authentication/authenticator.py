"""From a request to its principal: signature, access key, rate limit."""

from __future__ import annotations

import hmac
import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from dispatcher.api.authentication.sigv4 import (
    CLIENT_UNKNOWN,
    check_scope,
    check_signature,
    check_time,
    read_signature,
)
from dispatcher.api.errors import AccessRefusedError, UnrecognizedClientError
from sidelight.errors import UsageError
from sidelight.model import AccessKeyStatus

if TYPE_CHECKING:
    from datetime import datetime

    from dispatcher.api.authentication.canonical import SignedParts
    from dispatcher.api.authentication.rate_limits import PrincipalLimiter
    from dispatcher.services.access_keys import Seal
    from sidelight.fleet.settings import Settings
    from sidelight.model import AccessKey, Principal
    from sidelight.store import Store

log = logging.getLogger(__name__)

NOT_CONFIGURED = (
    "The API is not configured: set SIDELIGHT_ACCESS_SEAL, and create a key with `sidelight access"
    " create`."
)


@dataclass(frozen=True, slots=True)
class SignedCaller:
    """An authenticated caller: its principal, key, the region it signed for, and the signature."""

    principal: Principal
    key_id: str
    region: str
    signature: str


class Authenticator:
    """Authenticates requests. Without a seal, none is."""

    def __init__(
        self, store: Store, settings: Settings, seal: Seal | None, limiter: PrincipalLimiter
    ) -> None:
        names = settings.api.regions.split(",")
        self._store = store
        self._seal = seal
        self._limiter = limiter
        self._skew = timedelta(seconds=settings.api.skew_seconds)
        self._regions = frozenset(filter(None, (name.strip() for name in names)))

    def authenticate(self, parts: SignedParts, body: bytes, now: datetime) -> SignedCaller:
        """Return who signed a request. Raises ApiError; StoreError where the store fails."""
        if self._seal is None:
            raise AccessRefusedError(NOT_CONFIGURED)
        request = read_signature(parts, body)
        check_scope(request, self._regions)
        check_time(request, now, self._skew)
        key, secret = self._secret(request.key_id, now)
        check_signature(request, secret)
        self._limiter.admit(key.principal.name)
        self._store.access_keys.used(key)
        return SignedCaller(key.principal, key.id, request.scope.region, request.signature)

    def by_secret(self, key_id: str, secret: str, now: datetime) -> Principal:
        """Return the principal of a key and its secret, as pages are asked for. Raises ApiError."""
        if self._seal is None:
            raise AccessRefusedError(NOT_CONFIGURED)
        key, known = self._secret(key_id, now)
        if not _is_same(known, secret):
            raise UnrecognizedClientError(CLIENT_UNKNOWN)
        self._limiter.admit(key.principal.name)
        self._store.access_keys.used(key)
        return key.principal

    def _secret(self, key_id: str, now: datetime) -> tuple[AccessKey, str]:
        key = self._store.access_keys.get(key_id)
        if key is None or self._seal is None or key.status(now) is not AccessKeyStatus.ACTIVE:
            raise UnrecognizedClientError(CLIENT_UNKNOWN)
        try:
            return key, self._seal.decrypt(key)
        except UsageError as error:
            log.warning("%s", error)
            raise UnrecognizedClientError(CLIENT_UNKNOWN) from error


def _is_same(known: str, secret: str) -> bool:
    return hmac.compare_digest(known.encode(), secret.encode("utf-8", "surrogatepass"))
