"""Sign-in by an identity provider: to the provider, and back with a code.

What a sign-in is recognised by is derived from a secret that the browser's cookie alone has: the
server keeps nothing between the two requests, and any of its processes may answer the second.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote

from dispatcher.console.guards import cookie, local_path, set_session
from dispatcher.console.sign_in import OF_SOURCE
from dispatcher.console.web_messages import WebAnswer
from dispatcher.services.console_users import ConsoleUserService
from dispatcher.services.oidc.configuration import CALLBACK
from dispatcher.services.oidc.people import signed_in_user
from dispatcher.services.oidc.provider import SignInSecrets
from sidelight.errors import DownloadError, IdentityError
from sidelight.model import CALL_OK

if TYPE_CHECKING:
    from dispatcher.console.auditing import Auditor
    from dispatcher.console.page import ConsoleServices
    from dispatcher.console.sign_in import AttemptLimiter, SignIn
    from dispatcher.console.web_messages import WebRequest
    from dispatcher.services.oidc.provider import OidcProvider, ProvenIdentity

BEGIN: Final = "/login/oidc"
SECONDS: Final = 600  # for a person to sign in at the provider
SECURE_STATE_COOKIE: Final = "__Host-sidelight_oidc"
PLAIN_STATE_COOKIE: Final = "sidelight_oidc"
_SECRET: Final = 43  # characters: 32 random bytes
STALE: Final = "The sign-in is of another browser, or took too long. Please sign in again."


class OidcSignIn:
    """The paths `/login/oidc` and `/login/oidc/callback`."""

    paths: Final = (BEGIN, CALLBACK)

    def __init__(
        self,
        provider: OidcProvider,
        services: ConsoleServices,
        auditor: Auditor,
        page: SignIn,
        limiter: AttemptLimiter,
    ) -> None:
        """`page` shows what failed; `limiter` is that of all sign-ins."""
        self._provider = provider
        self._store = services.store
        self._users = ConsoleUserService(services.store)
        self._auditor = auditor
        self._page = page
        self._limiter = limiter
        self._secure = provider.configuration.is_secure
        self._cookie = SECURE_STATE_COOKIE if self._secure else PLAIN_STATE_COOKIE

    def answer(self, request: WebRequest) -> WebAnswer:
        """Return the answer to a request of one of `paths`."""
        if not self._limiter.admit(f"source {request.source}", OF_SOURCE):
            return self._failed(request, 429, "Too many attempts. Wait ten minutes.",
                                "ThrottlingException")  # fmt: skip
        try:
            return self._begun(request) if request.path == BEGIN else self._returned(request)
        except DownloadError as error:
            return self._failed(request, 502, f"The identity provider does not answer: {error}",
                                "ServiceUnavailable")  # fmt: skip
        except IdentityError as error:
            return self._failed(request, 403, f"You cannot sign in: {error}")

    def _begun(self, request: WebRequest) -> WebAnswer:
        target = local_path(request.fields().get("next", ["/"])[0])
        began = int(self._store.clock().timestamp())
        value = f"{secrets.token_urlsafe(32)}.{began}.{quote(target, safe='')}"
        url = self._provider.authorization_url(_derived(value))
        header = cookie(self._cookie, value, secure=self._secure, seconds=SECONDS)
        return WebAnswer(303, (("Location", url), header))

    def _returned(self, request: WebRequest) -> WebAnswer:
        fields = {name: values[0] for name, values in request.fields().items() if len(values) == 1}
        value = request.cookie(self._cookie)
        wanted, state = _derived(value), fields.get("state", "")
        is_ours = hmac.compare_digest(state.encode("utf-8", "replace"), wanted.state.encode())
        if not (is_ours and self._is_fresh(value)):
            return self._failed(request, 400, STALE)
        # RFC 9207: an answer of another provider is not redeemed at this one.
        if fields.get("iss", self._provider.configuration.issuer) != (
            self._provider.configuration.issuer
        ):
            raise IdentityError("the answer is of another provider")
        if "error" in fields:
            raise IdentityError(f"the provider answered {fields['error'][:60]!r}")
        identity = self._provider.identity(fields.get("code", ""), wanted)
        mapping = self._provider.configuration.mapping(identity.groups)
        if mapping is None:
            return self._failed(request, 403, "You are signed in at the provider, but none of your"
                                " groups has a role here. Ask an administrator of the console.",
                                name=identity.name)  # fmt: skip
        try:
            user = signed_in_user(self._store, identity, mapping)
        except IdentityError as error:
            return self._failed(request, 403, f"You cannot sign in: {error}", name=identity.name)
        self._auditor.signed_in(
            request, user.principal.name, CALL_OK, user.principal.account_id, _described(identity)
        )
        session = self._users.begin_session(user, request.source)
        target = local_path(unquote(value.split(".", 2)[2]))
        return WebAnswer(303, (("Location", target), set_session(session, secure=self._secure),
                               self._ended()))  # fmt: skip

    def _is_fresh(self, value: str) -> bool:
        parts = value.split(".", 2)
        if len(parts) != 3 or len(parts[0]) != _SECRET or not parts[1].isdecimal():
            return False
        return 0 <= self._store.clock().timestamp() - int(parts[1][:12]) <= SECONDS

    def _failed(
        self,
        request: WebRequest,
        status: int,
        shown: str,
        outcome: str = "AccessDeniedException",
        name: str = "",
    ) -> WebAnswer:
        self._auditor.signed_in(request, name[:64] or "unknown", outcome, detail=shown[:300])
        answer = self._page.form(request, shown[:400], status)
        return WebAnswer(answer.status, (*answer.headers, self._ended()), answer.body)

    def _ended(self) -> tuple[str, str]:
        return cookie(self._cookie, "", secure=self._secure, seconds=0)


def _derived(value: str) -> SignInSecrets:
    """Return what belongs to a cookie's value: nobody without it can compute any of them."""

    def part(purpose: str) -> str:
        digest = hmac.digest(value.encode("utf-8", "replace"), purpose.encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")

    return SignInSecrets(part("state"), part("nonce"), part("verifier"))


def _described(identity: ProvenIdentity) -> str:
    return f"OIDC {identity.issuer} {identity.subject}"[:600]
