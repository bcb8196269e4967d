"""The VEX documents that suppress findings of the fleet, and what they state."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text

from sidelight.store.base.column_types import AnyText
from sidelight.store.base.tables.columns import identifier, instant, metadata, serial

# A document that replaces another gets a new, higher id.
vex_documents = Table(
    "vex_documents",
    metadata,
    serial("id"),
    identifier("key", unique=True),  # the SHA-256 of `identity`
    Column("identity", AnyText, nullable=False),
    Column("format", String(16), nullable=False),
    Column("version", AnyText, nullable=False),
    Column("author", AnyText, nullable=False),
    Column("issued", AnyText, nullable=False),
    Column("file", AnyText, nullable=False),
    identifier("sha256"),
    Column("statements", Integer, nullable=False),
    instant("added_at"),
    sqlite_autoincrement=True,
)

vex_statements = Table(
    "vex_statements",
    metadata,
    Column("document", BigInteger, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("at", String(40), nullable=False),
    Column("status", String(24), nullable=False),
    Column("justification", String(64), nullable=False),
    Column("statement", AnyText, nullable=False),
)

# A row for each vulnerability and package that a statement names. `key` is a digest of both.
vex_claims = Table(
    "vex_claims",
    metadata,
    identifier("key", primary_key=True),
    Column("document", BigInteger, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("products", Text, nullable=False),  # JSON
    Index(None, "document"),
)
