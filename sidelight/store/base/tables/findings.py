"""Vulnerability details, findings, and their events."""

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
    false,
    text,
)

from sidelight.store.base.column_types import AnyText
from sidelight.store.base.tables.columns import identifier, instant, metadata, serial

# Vulnerability details, the same on all machines with a package: EPSS changes only one row.
# Details of a network finding are of one instance: `software` is 0, and `vulnerability` the SHA-256
# of account, instance and key.
finding_details = Table(
    "finding_details",
    metadata,
    serial("id"),
    Column("software", BigInteger, nullable=False),
    Column("vulnerability", AnyText, nullable=False),
    # sidelight.findings.key_of: SHA-256, because a path may be too long for an index.
    identifier("key"),
    Column("severity", String(16), nullable=False),
    Column("score", Float, nullable=True),
    Column("current", Boolean, nullable=False),  # the current database contains it
    # The number of the database that last changed `current`.
    Column("touched", Integer, nullable=False),
    identifier("facts"),  # the digest of the vulnerability's facts in the database of the match
    identifier("digest"),  # of the document
    Column("document", Text, nullable=False),  # model.Finding or NetworkFinding, by `type`
    Column("type", String(32), nullable=False, server_default="PACKAGE_VULNERABILITY"),
    UniqueConstraint("software", "vulnerability"),
    sqlite_autoincrement=True,
)

OPEN_FINDING = text("status <> 'CLOSED'")
CLOSED_FINDING = text("closed_at IS NOT NULL")

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
    # Last observed at inventories.observed_at of its instance, and not at `last_observed`: a scan
    # that finds it again does not write it.
    Column("follows", Boolean, nullable=False, server_default=false()),
    # Lookups name account and instance, or the instance alone. PostgreSQL keeps equal entries once:
    # without a column that differs in each row, an index has a twentieth of the size.
    Index(
        "ix_findings_of_instance", "instance", "account",
        postgresql_ops={"instance": "text_pattern_ops"},  # for prefixes too
    ),
    # Closed findings by key; open ones have the unique index below.
    Index(
        "ix_findings_closed", "account", "instance", "key",
        sqlite_where=CLOSED_FINDING,
        postgresql_where=CLOSED_FINDING,
    ),
    # With the id, so that the rows of a page are read in their order.
    Index("ix_findings_detail", "detail", "id"),
    Index("ix_findings_account_detail", "account", "detail", "id"),
    # The findings of each detail in their order.
    Index("ix_findings_by_status", "status", "detail", "id"),
    Index("ix_findings_in_region", "region"),
    # Many findings of a scan are first observed at one time, which a page sorts by id.
    Index("ix_findings_first", "first_observed"),
    Index(
        "ix_findings_observed", "last_observed", "id",
        sqlite_where=text("NOT follows"),
        postgresql_where=text("NOT follows"),
    ),
    Index("ix_findings_updated", "updated_at"),
    Index("ix_findings_type", "type", "status"),
    # Nearly all findings are open, and have no end.
    Index(
        "ix_findings_expiry", "expires_at",
        sqlite_where=text("expires_at IS NOT NULL"),
        postgresql_where=text("expires_at IS NOT NULL"),
    ),
    sqlite_autoincrement=True,  # an id is never reused
)  # fmt: skip
# One open finding per key, even if two processes evaluate an instance at the same time.
Index(
    "uq_findings_open",
    findings.c.account,
    findings.c.instance,
    findings.c.key,
    unique=True,
    sqlite_where=OPEN_FINDING,
    postgresql_where=OPEN_FINDING,
)

# Details of findings on machines that nothing outside of their network reaches: `detail` is a row
# of finding_details with a lower score than that of `first`, or `first` where it has no influence.
unreached_details = Table(
    "unreached_details",
    metadata,
    Column("first", BigInteger, primary_key=True, autoincrement=False),
    Column("detail", BigInteger, nullable=False),
    Index(None, "detail"),
)

# The instances whose findings have these details.
unreached_instances = Table(
    "unreached_instances",
    metadata,
    identifier("account", primary_key=True),
    identifier("instance", primary_key=True),
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

# Events of coverage and of first scans. A committed row gets its number, of the same counter,
# from `number_events`; until then `sequence` is NULL.
fleet_events = Table(
    "fleet_events",
    metadata,
    serial("id"),
    Column("sequence", BigInteger, nullable=True),
    instant("at"),
    Column("kind", String(16), nullable=False),
    identifier("account"),
    identifier("region"),
    identifier("instance"),
    Column("document", Text, nullable=False),
    Index("ix_fleet_events_sequence", "sequence", unique=True),
    Index(None, "at"),
    Index(
        "ix_fleet_events_pending", "id",
        sqlite_where=text("sequence IS NULL"),
        postgresql_where=text("sequence IS NULL"),
    ),
    sqlite_autoincrement=True,
)  # fmt: skip
