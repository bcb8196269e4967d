"""Who calls the API and uses the console: principals, their roles, keys, users and sessions."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime


class Role(StrEnum):
    """What a principal may do. Each role includes the ones before it."""

    READER = "reader"  # lists and reads
    OPERATOR = "operator"  # also: suppression filters, reports, scans on demand, tags
    ADMINISTRATOR = "administrator"  # also: accounts, members and configuration

    def includes(self, other: Role) -> bool:
        """Whether this role may do all that the other may."""
        ranks = list(Role)
        return ranks.index(self) >= ranks.index(other)


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller that was identified.

    `account_id` is the account that it acts for: Inspector's answers and ARNs name it.
    `accounts` are further accounts whose data it sees; None is every account of the fleet.
    """

    name: str
    role: Role
    account_id: str
    accounts: frozenset[str] | None = frozenset()


class AccessKeyStatus(StrEnum):
    """Whether an access key may be used."""

    ACTIVE = "ACTIVE"
    EXPIRED = "EXPIRED"
    REVOKED = "REVOKED"


@dataclass(frozen=True, slots=True)
class AccessKey:
    """An access key as it is stored. `sealed` is its secret, encrypted with the deployment's key.

    `last_used_at` is right to a minute.
    """

    id: str
    principal: Principal
    sealed: bytes
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None

    def status(self, now: datetime) -> AccessKeyStatus:
        """Return whether it may be used now."""
        if self.revoked_at is not None:
            return AccessKeyStatus.REVOKED
        is_expired = self.expires_at is not None and now >= self.expires_at
        return AccessKeyStatus.EXPIRED if is_expired else AccessKeyStatus.ACTIVE


@dataclass(frozen=True, slots=True)
class ConsoleUser:
    """A person who signs in to the console.

    `password` is its hash with the parameters, as `services.console_users` writes it; empty for a
    person of an identity provider, whose `subject` is "issuer subject".
    """

    principal: Principal
    password: str
    created_at: datetime
    subject: str = ""
    revoked_at: datetime | None = None
    signed_in_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ConsoleSession:
    """A session of a console user. `key` is the SHA-256 of the id, which the browser alone has."""

    key: str
    user: str
    created_at: datetime
    seen_at: datetime
    source: str = ""


@dataclass(frozen=True, slots=True)
class SavedView:
    """A person's name for a query of one of the console's lists; `page` is its path."""

    id: int
    user: str
    page: str
    name: str
    query: str


# Outcomes of a call; the others are the codes of errors.
CALL_OK: Final = "OK"
CALL_STARTED: Final = "STARTED"


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """Who called what, and what came of it: CALL_OK, the error's code, or CALL_STARTED.

    The latter means that the server stopped during the call. `signature` is the SHA-256 of the
    request's signature: no signature is accepted for two calls.
    """

    at: datetime
    principal: str
    key: str
    account: str
    region: str
    operation: str
    request_id: str
    source: str
    outcome: str
    detail: str = ""
    signature: str | None = None
