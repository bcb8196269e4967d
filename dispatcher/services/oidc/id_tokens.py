"""Verify an ID token (OpenID Connect Core 1.0, 3.1.3.7): signature, issuer, audience, times, nonce.

joserfc checks signatures; which algorithms and keys it may use is decided here.
"""

from __future__ import annotations

import hmac
import warnings
from typing import TYPE_CHECKING, Final

from joserfc import jws, jwt
from joserfc.errors import JoseError

from dispatcher.services.oidc.provider_documents import SIGNATURES
from sidelight.errors import IdentityError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from dispatcher.services.oidc.configuration import OidcConfiguration
    from dispatcher.services.oidc.provider_documents import ProviderDocuments

TOKEN_LIMIT: Final = 100_000  # characters: people have many groups
# Providers put names of their own into headers; `crit` is still obeyed.
_REGISTRY: Final = jws.JWSRegistry(algorithms=list(SIGNATURES), strict_check_header=False)


def verified_claims(
    token: str,
    nonce: str,
    configuration: OidcConfiguration,
    documents: ProviderDocuments,
    now: datetime,
) -> Mapping[str, object]:
    """Return a token's claims. Raises IdentityError, and DownloadError without the keys."""
    claims = _signed(token, documents)
    check_claims(claims, nonce, configuration, now)
    return claims


def _signed(token: str, documents: ProviderDocuments) -> Mapping[str, object]:
    if not 0 < len(token) <= TOKEN_LIMIT or not token.isascii():
        raise IdentityError(f"the ID token has not 1 to {TOKEN_LIMIT} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of algorithms that are refused below
            header = jws.extract_compact(token.encode(), registry=_REGISTRY).headers()
        algorithm, key_id = header.get("alg"), header.get("kid")
        if not isinstance(algorithm, str) or not isinstance(key_id, str | None):
            raise IdentityError("the ID token's header is damaged")
        key = documents.key(algorithm, key_id)
        decoded = jwt.decode(token, key, algorithms=[algorithm], registry=_REGISTRY)
    except (JoseError, ValueError, TypeError, RecursionError) as error:
        raise IdentityError("the ID token is damaged, or its signature is wrong") from error
    return decoded.claims


def check_claims(
    claims: Mapping[str, object], nonce: str, configuration: OidcConfiguration, now: datetime
) -> None:
    """Raise IdentityError unless a signed token is for this console, this browser, and now."""
    options = {name: {"essential": True} for name in ("iss", "sub", "aud", "exp", "iat")}
    registry = jwt.JWTClaimsRegistry(
        int(now.timestamp()), int(configuration.skew_seconds),
        **options,  # type: ignore[arg-type]
    )  # fmt: skip
    try:
        registry.validate(dict(claims))
    except JoseError as error:
        reason = error.description or error.error
        raise IdentityError(f"the ID token is not valid: {reason[:200]}") from error
    if claims["iss"] != configuration.issuer:
        raise IdentityError("the ID token is of another issuer")
    audience = claims["aud"]
    audiences = audience if isinstance(audience, list) else [audience]
    if configuration.client_id not in audiences:
        raise IdentityError("the ID token is for another client")
    party = claims.get("azp")
    if party != configuration.client_id and (party is not None or len(audiences) > 1):
        raise IdentityError("the ID token was issued to another client")
    sent = claims.get("nonce")
    if not isinstance(sent, str) or not hmac.compare_digest(sent.encode(), nonce.encode()):
        raise IdentityError("the ID token is of another sign-in")
    subject = claims["sub"]
    if not isinstance(subject, str) or not 0 < len(subject) <= 255:
        raise IdentityError("the ID token's subject has not 1 to 255 characters")
