"""Documents of `sidelight access`."""

from typing import TypedDict

from sidelight.documents.markers import Timestamp
from sidelight.model import AccessKeyStatus, Role


class IssuedKeyDocument(TypedDict):
    """A new access key with its secret, which is not shown again; names as in CreateAccessKey."""

    AccessKeyId: str
    SecretAccessKey: str
    principal: str
    role: Role
    account: str
    expiresAt: Timestamp | None


class AccessKeyDocument(TypedDict):
    """An access key. `accounts` are those it sees besides its own; null is the whole fleet."""

    id: str
    principal: str
    role: Role
    account: str
    accounts: list[str] | None
    status: AccessKeyStatus
    createdAt: Timestamp
    expiresAt: Timestamp | None
    revokedAt: Timestamp | None
    lastUsedAt: Timestamp | None


class ConsoleUserDocument(TypedDict):
    """A user of the console. `accounts` as of an access key; `subject` is empty for a password."""

    name: str
    role: Role
    account: str
    accounts: list[str] | None
    subject: str
    createdAt: Timestamp
    revokedAt: Timestamp | None
    signedInAt: Timestamp | None


class AuditRecordDocument(TypedDict):
    """A call over the API. `outcome` is OK, STARTED, or the code of the error."""

    at: Timestamp
    principal: str
    key: str
    account: str
    region: str
    operation: str
    requestId: str
    source: str
    outcome: str
    detail: str
