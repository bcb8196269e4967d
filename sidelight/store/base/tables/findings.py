"""Vulnerability details, findings, their events, and suppression rules."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from sidelight.store.base.column_types import AnyText
from sidelight.store.base.tables.columns import identifier, instant, metadata, serial

# Vulnerability details, the same on all machines with a package: EPSS changes only one row.
finding_details = Table(
    "finding_details",
    metadata,
    serial("id"),
    Column("software", BigInteger, nullable=False),
    Column("vulnerability", AnyText, nullable=False),
    # SHA-256 of vulnerability, purl and path: a path may be too long for an index.
    identifier("key"),
    Column("severity", String(16), nullable=False),
    Column("score", Float, nullable=True),
    Column("current", Boolean, nullable=False),  # the current database contains it
    # The number of the database that last changed `current`.
    Column("touched", Integer, nullable=False),
    identifier("facts"),  # the digest of the vulnerability's facts in the database of the match
    identifier("digest"),  # of the document
    Column("document", Text, nullable=False),  # model.Finding
    UniqueConstraint("software", "vulnerability"),
    sqlite_autoincrement=True,
)

findings = Table(
    "findings",
    metadata,
    serial("id"),
    identifier("account"),
    identifier("region"),
    identifier("instance"),
    identifier("key"),
    Column("detail", BigInteger, nullable=False),
    Column("status", String(16), nullable=False),
    instant("first_observed"),
    instant("last_observed"),
    instant("updated_at"),
    instant("closed_at", nullable=True),
    instant("expires_at", nullable=True),
    # model.FindingType; a key is of one type.
    Column("type", String(32), nullable=False, server_default="PACKAGE_VULNERABILITY"),
    Index("ix_findings_instance", "account", "instance", "key"),
    Index(None, "detail"),
    Index("ix_findings_status", "status"),
    Index(None, "expires_at"),
    sqlite_autoincrement=True,  # an id is never reused
)
# One open finding per key, even if two processes evaluate an instance at the same time.
OPEN_FINDING = text("status <> 'CLOSED'")
Index(
    "uq_findings_open",
    findings.c.account,
    findings.c.instance,
    findings.c.key,
    unique=True,
    sqlite_where=OPEN_FINDING,
    postgresql_where=OPEN_FINDING,
)

# The outbox: numbers without gaps, in the order of the commits (see sequences).
finding_events = Table(
    "finding_events",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    instant("at"),
    Column("kind", String(16), nullable=False),
    Column("finding", BigInteger, nullable=False),
    identifier("account"),
    identifier("region"),
    identifier("instance"),
    Column("detail", BigInteger, nullable=False),
    Column("status", String(16), nullable=False),
    instant("first_observed"),
    instant("last_observed"),
    Index(None, "at"),
    Index(None, "detail"),
)

suppression_rules = Table(
    "suppression_rules",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("description", AnyText, nullable=False),
    Column("criteria", Text, nullable=False),  # Inspector's FilterCriteria
    instant("created_at"),
    instant("updated_at"),
)
