"""An OpenID Connect provider with real keys: in this process, or on loopback. It can misbehave."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote_plus, urlsplit

from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

from sidelight.download.small_answers import SmallAnswer
from sidelight.errors import DownloadError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

ISSUER = "https://id.example/tenant"
CLIENT = "sidelight-console"
CLIENT_SECRET = "a secret: with / and ü"  # noqa: S105 - of nobody
RSA = RSAKey.generate_key(2048, {"kid": "rsa-1", "use": "sig", "alg": "RS256"})
EC = ECKey.generate_key("P-256", {"kid": "ec-1", "use": "sig"})
STRANGER = RSAKey.generate_key(2048, {"kid": "rsa-1"})


@dataclass
class SignIn:
    """What was asked for with a code."""

    nonce: str
    challenge: str
    redirect: str


@dataclass
class FakeIdentityProvider:
    """Endpoints as functions. `claims` go into the next tokens; `now` is in seconds.

    `key` and `algorithm` sign; `forge` replaces a token; `down` fails all calls.
    """

    now: Callable[[], float]
    issuer: str = ISSUER
    secret: str = CLIENT_SECRET
    claims: dict[str, object] = field(default_factory=dict)
    key: RSAKey | ECKey = field(default_factory=lambda: RSA)
    algorithm: str = "RS256"
    forge: Callable[[dict[str, object]], str] | None = None
    published: list[RSAKey | ECKey] = field(default_factory=lambda: [RSA, EC])
    discovery: dict[str, object] = field(default_factory=dict)
    down: bool = False
    codes: dict[str, SignIn] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    def sign_in(self, url: str) -> dict[str, str]:
        """What the provider sends a person back with, who signed in at `url`."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        assert url.startswith(f"{self.issuer}/authorize?"), url
        assert (query["response_type"], query["client_id"]) == ("code", CLIENT)
        assert query["code_challenge_method"] == "S256"
        assert "openid" in query["scope"].split()
        code = secrets.token_urlsafe(16)
        self.codes[code] = SignIn(query["nonce"], query["code_challenge"], query["redirect_uri"])
        return {"code": code, "state": query["state"]}

    def get(self, url: str) -> SmallAnswer:
        """Discovery and keys."""
        self._called(url)
        if url == f"{self.issuer}/.well-known/openid-configuration":
            return _json({
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                **self.discovery,
            })  # fmt: skip
        if url == f"{self.issuer}/keys":
            return _json({"keys": [key.as_dict(private=False) for key in self.published]})
        return SmallAnswer(404, b"")

    def post(self, url: str, fields: Mapping[str, str], headers: Mapping[str, str]) -> SmallAnswer:
        """The token endpoint: a code is good once, for its verifier and address."""
        self._called(url)
        if url != f"{self.issuer}/token":
            return SmallAnswer(404, b"")
        if not self._is_client(fields, headers):
            return _json({"error": "invalid_client"}, 401)
        known = self.codes.pop(fields["code"], None)
        digest = hashlib.sha256(fields["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        wanted = (known.challenge, known.redirect) if known else None
        if known is None or wanted != (challenge, fields["redirect_uri"]):
            return _json({"error": "invalid_grant"}, 400)
        return _json({"access_token": "x", "token_type": "Bearer", "id_token": self.token(known)})

    def token(self, known: SignIn) -> str:
        """The ID token of a sign-in."""
        now = int(self.now())
        claims: dict[str, object] = {
            "iss": self.issuer, "aud": CLIENT, "sub": "00u1", "iat": now, "exp": now + 300,
            "nonce": known.nonce, "email": "alice@example.org", "groups": ["security"],
            **self.claims,
        }  # fmt: skip
        claims = {name: value for name, value in claims.items() if value is not None}
        return self.forge(claims) if self.forge else signed(claims, self.key, self.algorithm)

    def _is_client(self, fields: Mapping[str, str], headers: Mapping[str, str]) -> bool:
        if not self.secret:
            return fields.get("client_id") == CLIENT
        basic = headers.get("Authorization", "").removeprefix("Basic ")
        name, _, secret = base64.b64decode(basic).decode().partition(":")
        by_basic = (unquote_plus(name), unquote_plus(secret)) == (CLIENT, self.secret)
        by_form = (fields.get("client_id"), fields.get("client_secret")) == (CLIENT, self.secret)
        return by_basic or by_form

    def _called(self, url: str) -> None:
        self.requests.append(url)
        if self.down:
            raise DownloadError("id.example cannot be reached: Connection refused", where=url)

    @contextmanager
    def served(self) -> Iterator[str]:
        """The provider on loopback; its issuer's address."""
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answered(fake.get(f"{fake.issuer}{self.path}"))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                fields = {name: values[0] for name, values in parse_qs(body).items()}
                headers = dict(self.headers.items())
                self._answered(fake.post(f"{fake.issuer}{self.path}", fields, headers))

            def _answered(self, answer: SmallAnswer) -> None:
                self.send_response(answer.status)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, *_args: object) -> None:
                """Nothing to the terminal."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield self.issuer
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


def signed(
    claims: Mapping[str, object], key: RSAKey | ECKey, algorithm: str, key_id: str | None = ""
) -> str:
    """A token; `key_id` is the key's own, or None for none."""
    header: dict[str, object] = {"alg": algorithm, "typ": "JWT"}
    if key_id is not None:
        header["kid"] = key_id or key.kid
    return jws.serialize_compact(header, json.dumps(claims), key, algorithms=[algorithm])


def unsigned(claims: Mapping[str, object]) -> str:
    """A token of the algorithm `none`."""
    parts = (json.dumps({"alg": "none", "kid": "rsa-1"}), json.dumps(claims))
    return ".".join(base64.urlsafe_b64encode(p.encode()).decode().rstrip("=") for p in parts) + "."


def signed_by_public_key(claims: Mapping[str, object]) -> str:
    """A token whose HMAC has the published key as its secret: everyone can make it."""
    text = RSA.as_pem(private=False)
    header = json.dumps({"alg": "HS256", "kid": "rsa-1"}).encode()
    parts = [base64.urlsafe_b64encode(part).decode().rstrip("=")
             for part in (header, json.dumps(claims).encode())]  # fmt: skip
    mac = hmac.digest(text, ".".join(parts).encode(), hashlib.sha256)
    return ".".join([*parts, base64.urlsafe_b64encode(mac).decode().rstrip("=")])


def _json(value: object, status: int = 200) -> SmallAnswer:
    return SmallAnswer(status, json.dumps(value).encode())
