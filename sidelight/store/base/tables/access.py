"""The API's access keys, the console's users and sessions, and the audit log."""

from __future__ import annotations

from sqlalchemy import Column, Index, LargeBinary, String, Table, Text

from sidelight.store.base.column_types import AnyText
from sidelight.store.base.tables.columns import identifier, instant, metadata, serial

# The API's access keys. `accounts` is a JSON list; NULL is every account.
access_keys = Table(
    "access_keys",
    metadata,
    identifier("id", primary_key=True),
    identifier("principal"),
    Column("role", String(16), nullable=False),
    identifier("account"),
    Column("accounts", Text, nullable=True),
    Column("sealed", LargeBinary, nullable=False),
    instant("created_at"),
    instant("expires_at", nullable=True),
    instant("revoked_at", nullable=True),
    instant("last_used_at", nullable=True),
)

# People who sign in to the console. `accounts` as in access_keys; `subject` of an OIDC provider.
console_users = Table(
    "console_users",
    metadata,
    identifier("name", primary_key=True),
    Column("role", String(16), nullable=False),
    identifier("account"),
    Column("accounts", Text, nullable=True),
    Column("password", String(255), nullable=False),
    Column("subject", String(512), nullable=False),
    instant("created_at"),
    instant("revoked_at", nullable=True),
    instant("signed_in_at", nullable=True),
    Index(None, "subject"),
)

# Their sessions, by the SHA-256 of the id that the browser has.
console_sessions = Table(
    "console_sessions",
    metadata,
    identifier("key", primary_key=True),
    identifier("user"),
    instant("created_at"),
    instant("seen_at"),
    identifier("source"),
    Index(None, "user"),
    Index(None, "created_at"),
)

# Views of lists that they save: the query of a page under a name.
saved_views = Table(
    "saved_views",
    metadata,
    serial("id"),
    identifier("user"),
    Column("page", String(32), nullable=False),
    Column("name", AnyText, nullable=False),
    Column("query", AnyText, nullable=False),
    instant("created_at"),
    Index("ix_saved_views_user", "user", "page"),
    sqlite_autoincrement=True,
)

# Who called what over the API. A signature is unique, which refuses its replay.
audit_records = Table(
    "audit_records",
    metadata,
    serial("id"),
    instant("at"),
    identifier("principal"),
    identifier("key"),
    identifier("account"),
    identifier("region"),
    identifier("operation"),
    identifier("request_id"),
    identifier("source"),
    Column("outcome", String(64), nullable=False),
    Column("detail", AnyText, nullable=False),
    Column("signature", String(64), nullable=True),
    Index(None, "at"),
    Index(None, "signature", unique=True),
    sqlite_autoincrement=True,
)
