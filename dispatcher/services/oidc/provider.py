"""The two calls of a sign-in: where to send a person, and who came back with a code."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote_plus, urlencode

from dispatcher.services.oidc.id_tokens import verified_claims
from dispatcher.services.oidc.provider_documents import ProviderDocuments, json_object
from sidelight.download.small_answers import SmallAnswerClient
from sidelight.errors import DownloadError, IdentityError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from dispatcher.services.oidc.configuration import OidcConfiguration
    from dispatcher.services.oidc.provider_documents import ProviderCalls
    from sidelight.download.small_answers import SmallAnswer

MOST_GROUPS: Final = 10_000
CODE_LIMIT: Final = 4096  # characters


@dataclass(frozen=True, slots=True)
class SignInSecrets:
    """What one sign-in of one browser is recognised by. `verifier` is PKCE's (RFC 7636)."""

    state: str
    nonce: str
    verifier: str

    @property
    def challenge(self) -> str:
        """The verifier's SHA-256, which the provider gets first."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")


@dataclass(frozen=True, slots=True)
class ProvenIdentity:
    """Who the provider says a person is. `subject` is unique and lasting at the issuer."""

    issuer: str
    subject: str
    name: str
    groups: frozenset[str]


class OidcProvider:
    """A provider of the configuration. Safe for threads."""

    def __init__(
        self,
        configuration: OidcConfiguration,
        clock: Callable[[], datetime],
        calls: ProviderCalls | None = None,
    ) -> None:
        """`calls` replaces HTTP."""
        self.configuration = configuration
        self._calls = calls or SmallAnswerClient()
        self._clock = clock
        self._documents = ProviderDocuments(configuration, self._calls, clock)

    def authorization_url(self, secrets: SignInSecrets) -> str:
        """Return the address at which a person signs in. Raises DownloadError, IdentityError."""
        endpoint = self._documents.endpoints().authorization
        query = urlencode({
            "response_type": "code",
            "client_id": self.configuration.client_id,
            "redirect_uri": self.configuration.callback,
            "scope": self.configuration.scopes,
            "state": secrets.state,
            "nonce": secrets.nonce,
            "code_challenge": secrets.challenge,
            "code_challenge_method": "S256",
        })  # fmt: skip
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{query}"

    def identity(self, code: str, secrets: SignInSecrets) -> ProvenIdentity:
        """Return who a code is of. Raises DownloadError and IdentityError."""
        if not 0 < len(code) <= CODE_LIMIT:
            raise IdentityError("the provider sent no code")
        token = self._id_token(code, secrets)
        claims = verified_claims(
            token, secrets.nonce, self.configuration, self._documents, self._clock()
        )
        return proven(claims, self.configuration)

    def _id_token(self, code: str, secrets: SignInSecrets) -> str:
        configuration, endpoints = self.configuration, self._documents.endpoints()
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": configuration.callback,
            "code_verifier": secrets.verifier,
        }
        headers = {"Accept": "application/json"}
        if configuration.secret and not endpoints.by_form:
            # RFC 6749, 2.3.1: both are encoded as in a form before they are joined.
            pair = f"{quote_plus(configuration.client_id)}:{quote_plus(configuration.secret)}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            fields["client_id"] = configuration.client_id
            if configuration.secret:
                fields["client_secret"] = configuration.secret
        answer = self._calls.post(endpoints.token, fields, headers)
        if answer.status in (400, 401, 403):
            raise IdentityError(f"the provider refused the code: {_refusal(answer)}")
        if answer.status != 200:
            raise DownloadError(f"HTTP {answer.status}", where=endpoints.token)
        token = json_object(answer, endpoints.token).get("id_token")
        if not isinstance(token, str):
            raise IdentityError("the provider sent no ID token")
        return token


def proven(claims: Mapping[str, object], configuration: OidcConfiguration) -> ProvenIdentity:
    """Return the identity of verified claims. Raises IdentityError."""
    name_claim = configuration.name_claim
    name = _claim(claims, name_claim)
    if not isinstance(name, str) or not name:
        raise IdentityError(f"the ID token has no claim {name_claim!r}, which would name you")
    if name_claim == "email" and claims.get("email_verified") in (False, "false"):
        raise IdentityError("the provider has not verified your mail address")
    groups = _claim(claims, configuration.roles_claim)
    texts = groups if isinstance(groups, list) else [groups]
    if len(texts) > MOST_GROUPS:
        raise IdentityError(f"the ID token has more than {MOST_GROUPS} groups")
    known = frozenset(text for text in texts if isinstance(text, str))
    return ProvenIdentity(configuration.issuer, str(claims["sub"]), name, known)


def _claim(claims: Mapping[str, object], name: str) -> object:
    """Return a claim by its name, else by a path with dots; None if there is none."""
    if name in claims:
        return claims[name]
    at: object = claims
    for part in name.split("."):
        at = at.get(part) if isinstance(at, dict) else None
    return at


def _refusal(answer: SmallAnswer) -> str:
    """Return the error's code of a token endpoint's answer (RFC 6749, 5.2)."""
    try:
        found = json.loads(answer.body)
        code = found.get("error") if isinstance(found, dict) else None
    except (ValueError, RecursionError):
        code = None
    return code[:60] if isinstance(code, str) else f"HTTP {answer.status}"
