"""The settings of sign-in by OIDC, checked when the server starts, and who gets which role."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from dispatcher.services.host_names import is_loopback
from dispatcher.services.principals import check_principal
from dispatcher.services.secret_settings import secret_of
from sidelight.errors import UsageError
from sidelight.model import Principal, Role

if TYPE_CHECKING:
    from collections.abc import Collection

    from sidelight.fleet.settings import Settings

CALLBACK: Final = "/login/oidc/callback"
MOST_PAIRS: Final = 1000
MOST_URL: Final = 250  # characters: with a subject it fits the store's column
_ISSUER: Final = "SIDELIGHT_OIDC_ISSUER"
_CONSOLE: Final = "SIDELIGHT_OIDC_CONSOLE"
_ROLES: Final = "SIDELIGHT_OIDC_ROLES"
_CLIENT: Final = "SIDELIGHT_OIDC_CLIENT_ID"
_SECRET: Final = "SIDELIGHT_OIDC_CLIENT_SECRET"  # noqa: S105 - a variable's name
_WHOLE_FLEET: Final = "fleet"


@dataclass(frozen=True, slots=True)
class RoleMapping:
    """What the people of a group are. `accounts` as of a principal: None is the whole fleet."""

    group: str
    role: Role
    account: str
    accounts: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class OidcConfiguration:
    """Checked settings. `secret` is empty for a public client."""

    issuer: str
    client_id: str
    secret: str
    console: str
    mappings: tuple[RoleMapping, ...]
    roles_claim: str
    name_claim: str
    scopes: str
    label: str
    skew_seconds: float

    @classmethod
    def of(cls, settings: Settings) -> OidcConfiguration | None:
        """Return the configuration; None without an issuer. Raises UsageError."""
        chosen = settings.oidc
        if not chosen.issuer:
            return None
        if not chosen.client_id:
            raise UsageError("is needed with SIDELIGHT_OIDC_ISSUER", where=_CLIENT)
        check_secure(chosen.issuer, _ISSUER)
        check_secure(chosen.console, _CONSOLE)
        address = urlsplit(chosen.console)
        if address.path not in ("", "/") or address.query:
            raise UsageError("is an address without a path", where=_CONSOLE)
        scopes = chosen.scopes.split()
        return cls(
            chosen.issuer,
            chosen.client_id,
            secret_of(chosen.client_secret, _SECRET),
            chosen.console.rstrip("/"),
            role_mappings(chosen.roles),
            chosen.roles_claim,
            chosen.name_claim,
            " ".join(dict.fromkeys(["openid", *scopes])),
            chosen.label or urlsplit(chosen.issuer).netloc,
            chosen.skew_seconds,
        )

    @property
    def callback(self) -> str:
        """The address to which the provider sends people back."""
        return f"{self.console}{CALLBACK}"

    @property
    def is_secure(self) -> bool:
        """Whether browsers speak TLS with the console."""
        return self.console.startswith("https://")

    def mapping(self, groups: Collection[str]) -> RoleMapping | None:
        """Return the first mapping of which a person has the group; None: nobody gets in."""
        return next((found for found in self.mappings if found.group in groups), None)


def check_secure(url: str, where: str) -> None:
    """Raise UsageError unless a URL has TLS, or a host on loopback."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise UsageError(f"{url[:200]!r} is not a URL", where=where) from error
    is_plain = all("!" <= character <= "~" for character in url)
    if (
        not host
        or parts.username is not None
        or parts.fragment
        or not is_plain
        or len(url) > MOST_URL
    ):
        raise UsageError(f"{url[:200]!r} is not a URL of a server", where=where)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise UsageError(f"{url[:200]!r} needs https: only loopback may do without", where=where)


def role_mappings(text: str) -> tuple[RoleMapping, ...]:
    """Return the mappings of `GROUP=ROLE:ACCOUNT[+ID…|+fleet]; …`. Raises UsageError."""
    pairs = [pair.strip() for pair in text.split(";") if pair.strip()]
    if not pairs:
        raise UsageError("nobody would get in: map a group to a role, as"
                         " `security=administrator:111111111111+fleet`", where=_ROLES)  # fmt: skip
    if len(pairs) > MOST_PAIRS:
        raise UsageError(f"more than {MOST_PAIRS} pairs", where=_ROLES)
    return tuple(_mapping(pair) for pair in pairs)


def _mapping(pair: str) -> RoleMapping:
    # A group may be a distinguished name, which has equals signs: the last one separates.
    group, _, rest = pair.rpartition("=")
    role, _, scope = rest.partition(":")
    own, *others = scope.split("+")
    try:
        is_fleet = others == [_WHOLE_FLEET]
        accounts = None if is_fleet else frozenset(others)
        found = RoleMapping(group.strip(), Role(role.strip().lower()), own.strip(), accounts)
        check_principal(Principal("x", found.role, found.account, found.accounts))
    except (ValueError, UsageError) as error:
        what = error.what if isinstance(error, UsageError) else "the role is unknown"
        raise UsageError(
            f"{pair[:200]!r}: {what}; write GROUP=reader|operator|administrator:ACCOUNT, with"
            " +ID for further accounts or +fleet",
            where=_ROLES,
        ) from error
    if not found.group:
        raise UsageError(f"{pair[:200]!r} has no group", where=_ROLES)
    return found
