"""What a provider publishes: its endpoints (OpenID Connect Discovery 1.0) and keys (RFC 7517)."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Protocol

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from dispatcher.services.oidc.configuration import check_secure
from sidelight.errors import DownloadError, IdentityError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from dispatcher.services.oidc.configuration import OidcConfiguration
    from sidelight.download.small_answers import SmallAnswer

KEPT: Final = timedelta(hours=1)
# An unknown key asks for the keys again, but no token makes us ask more often than this.
ASKED_AGAIN: Final = timedelta(minutes=1)
MOST_KEYS: Final = 64
SHORTEST_RSA: Final = 2048  # bits, NIST SP 800-131A
SIGNATURES: Final = {
    **{f"{kind}{bits}": "RSA" for kind in ("RS", "PS") for bits in (256, 384, 512)},
    **{f"ES{bits}": "EC" for bits in (256, 384, 512)},
}  # the `alg` that is accepted, and the kind of key that it needs: no secret, and never `none`

VerificationKey = RSAKey | ECKey


class ProviderCalls(Protocol):
    """Requests to a provider, bounded in size and time. They raise DownloadError."""

    def get(self, url: str) -> SmallAnswer:
        """Return the answer to a GET."""
        ...

    def post(self, url: str, fields: Mapping[str, str], headers: Mapping[str, str]) -> SmallAnswer:
        """Return the answer to a form."""
        ...


@dataclass(frozen=True, slots=True)
class ProviderEndpoints:
    """A provider's addresses, and how a client authenticates at the token endpoint."""

    authorization: str
    token: str
    keys: str
    by_form: bool  # the secret is a field of the form, not HTTP's Basic authentication


@dataclass(frozen=True, slots=True)
class PublishedKey:
    """A key that may have signed a token. `algorithm` is empty if it is for any of its kind."""

    id: str
    kind: str
    algorithm: str
    key: VerificationKey


class ProviderDocuments:
    """A provider's endpoints and keys, asked for when needed, and kept. Safe for threads."""

    def __init__(
        self,
        configuration: OidcConfiguration,
        calls: ProviderCalls,
        clock: Callable[[], datetime],
    ) -> None:
        self._configuration = configuration
        self._calls = calls
        self._clock = clock
        self._lock = threading.Lock()
        self._endpoints: tuple[datetime, ProviderEndpoints] | None = None
        self._keys: tuple[datetime, tuple[PublishedKey, ...]] | None = None

    def endpoints(self) -> ProviderEndpoints:
        """Return the endpoints. Raises DownloadError and IdentityError."""
        now, known = self._clock(), self._endpoints
        if known is None or not _is_young(known[0], now, KEPT):
            issuer = self._configuration.issuer
            url = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
            known = now, parsed_endpoints(json_object(self._calls.get(url), url), issuer)
            self._endpoints = known
        return known[1]

    def key(self, algorithm: str, key_id: str | None) -> VerificationKey:
        """Return the key of a token's header. Raises DownloadError and IdentityError."""
        if algorithm not in SIGNATURES:
            raise IdentityError(f"the ID token is signed by {algorithm[:20]!r}, which is not safe")
        with self._lock:
            found = _chosen(self._known_keys(KEPT), algorithm, key_id)
            if found is None:  # the provider may have changed its keys
                found = _chosen(self._known_keys(ASKED_AGAIN), algorithm, key_id)
        if found is None:
            raise IdentityError(
                "the ID token is signed by a key that the provider does not publish"
            )
        return found.key

    def _known_keys(self, age: timedelta) -> tuple[PublishedKey, ...]:
        now = self._clock()
        if self._keys is None or not _is_young(self._keys[0], now, age):
            url = self.endpoints().keys
            self._keys = now, parsed_keys(json_object(self._calls.get(url), url))
        return self._keys[1]


def json_object(answer: SmallAnswer, url: str) -> dict[str, object]:
    """Return the JSON object of an answer. Raises DownloadError and IdentityError."""
    if answer.status != 200:
        raise DownloadError(f"HTTP {answer.status}", where=url)
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError) as error:
        raise IdentityError("the answer is not JSON", where=url) from error
    if not isinstance(found, dict):
        raise IdentityError("the answer is not a JSON object", where=url)
    return found


def parsed_endpoints(document: Mapping[str, object], issuer: str) -> ProviderEndpoints:
    """Return the endpoints of a discovery document. Raises IdentityError."""
    if document.get("issuer") != issuer:
        raise IdentityError(f"the provider says that it is {str(document.get('issuer'))[:200]!r},"
                            " not SIDELIGHT_OIDC_ISSUER", where=issuer)  # fmt: skip
    urls = []
    for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
        url = document.get(name)
        try:
            check_secure(url if isinstance(url, str) else "", name)
        except UsageError as error:
            raise IdentityError(str(error), where=issuer) from error
        urls.append(str(url))
    methods = document.get("token_endpoint_auth_methods_supported")
    known = methods if isinstance(methods, list) else ["client_secret_basic"]
    by_form = "client_secret_post" in known and "client_secret_basic" not in known
    authorization, token, keys = urls
    return ProviderEndpoints(authorization, token, keys, by_form)


def parsed_keys(document: Mapping[str, object]) -> tuple[PublishedKey, ...]:
    """Return the keys for signatures of a key set; others are left out. Raises IdentityError."""
    entries = document.get("keys")
    if not isinstance(entries, list) or len(entries) > MOST_KEYS:
        raise IdentityError(f"the provider's keys are not a list of at most {MOST_KEYS}")
    keys = (_published(entry) for entry in entries)
    return tuple(key for key in keys if key is not None)


def _published(entry: object) -> PublishedKey | None:
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
        return None
    kind, key_id, algorithm = (entry.get(name, "") for name in ("kty", "kid", "alg"))
    if not (isinstance(key_id, str) and isinstance(algorithm, str)):
        return None
    # Only what is public is taken: no use of a key may depend on further members.
    names = {"RSA": ("kty", "n", "e"), "EC": ("kty", "crv", "x", "y")}.get(str(kind), ())
    members: dict[str, str | list[str]]
    members = {name: value for name in names if isinstance(value := entry.get(name), str)}
    if not names or len(members) != len(names):
        return None
    key: VerificationKey
    try:
        key = RSAKey.import_key(members) if kind == "RSA" else ECKey.import_key(members)
        bits = key.raw_value.key_size
    except (JoseError, ValueError, TypeError):
        return None
    if kind == "RSA" and not SHORTEST_RSA <= bits <= 16384:
        return None
    return PublishedKey(key_id, str(kind), algorithm, key)


def _chosen(
    keys: tuple[PublishedKey, ...], algorithm: str, key_id: str | None
) -> PublishedKey | None:
    fitting = [key for key in keys
               if key.kind == SIGNATURES[algorithm] and key.algorithm in ("", algorithm)
               and key_id in (None, key.id)]  # fmt: skip
    # Without an id a token's key is known only where the provider has one key.
    return fitting[0] if fitting and (key_id is not None or len(fitting) == 1) else None


def _is_young(fetched: datetime, now: datetime, age: timedelta) -> bool:
    return timedelta() <= now - fetched < age
