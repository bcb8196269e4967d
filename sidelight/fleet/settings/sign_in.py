"""The settings of sign-in to the console by OIDC (docs/console.md)."""

from __future__ import annotations

from dataclasses import dataclass

from sidelight.fleet.settings.definition import Process, setting

_SERVE = (Process.SERVE,)


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcSettings:
    """Sign-in to the console by an identity provider (docs/console.md)."""

    issuer: str = setting(
        "SIDELIGHT_OIDC_ISSUER", "", unit="URL", readers=_SERVE,
        meaning="The issuer of an OpenID Connect provider, exactly as its discovery document has"
        " it; https, except on loopback. Empty: people sign in by password alone",
    )  # fmt: skip
    client_id: str = setting(
        "SIDELIGHT_OIDC_CLIENT_ID", "", unit="id", readers=_SERVE,
        meaning="The console's client id at the provider",
    )  # fmt: skip
    client_secret: str = setting(
        "SIDELIGHT_OIDC_CLIENT_SECRET", "", unit="text", readers=_SERVE,
        meaning="The client's secret, or `file:PATH` of a file with it; empty for a public client,"
        " which PKCE alone protects",
    )  # fmt: skip
    console: str = setting(
        "SIDELIGHT_OIDC_CONSOLE", "", unit="URL", readers=_SERVE,
        meaning="The console's address as browsers see it, `https://sidelight.example`: register"
        " its `/login/oidc/callback` with the provider",
    )  # fmt: skip
    roles: str = setting(
        "SIDELIGHT_OIDC_ROLES", "", unit="`GROUP=ROLE:ACCOUNT`", readers=_SERVE,
        meaning="Who gets in, as what: pairs separated by `;`. `+ID` adds an account, `+fleet` all."
        " The first pair whose group a person has holds; nobody else gets in",
    )  # fmt: skip
    roles_claim: str = setting(
        "SIDELIGHT_OIDC_ROLES_CLAIM", "groups", unit="claim", readers=_SERVE,
        meaning="The claim of the ID token that has a person's groups; dots lead into objects:"
        " `realm_access.roles`",
    )  # fmt: skip
    name_claim: str = setting(
        "SIDELIGHT_OIDC_NAME_CLAIM", "email", unit="claim", readers=_SERVE,
        meaning="The claim that names a person in the console and its audit log, from the first"
        " sign-in on",
    )  # fmt: skip
    scopes: str = setting(
        "SIDELIGHT_OIDC_SCOPES", "openid profile email", unit="scopes", readers=_SERVE,
        meaning="The scopes that are asked for, separated by blanks",
    )  # fmt: skip
    label: str = setting(
        "SIDELIGHT_OIDC_LABEL", "", unit="name", readers=_SERVE,
        meaning="The provider's name on the sign-in page; empty: the issuer's host",
    )  # fmt: skip
    skew_seconds: float = setting(
        "SIDELIGHT_OIDC_SKEW_SECONDS", 60.0, unit="seconds", readers=_SERVE, most=300,
        meaning="How far the provider's clock may be from the server's",
    )  # fmt: skip
