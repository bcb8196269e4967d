"""What overviews show: counts that are kept, since counting millions of rows takes seconds.

All of it is derived: `sidelight.store.maintenance` counts it again. An empty account is the whole
fleet, and has an empty region.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Index, Integer, String, Table, Text

from sidelight.store.base.column_types import AnyText, OrderedText
from sidelight.store.base.tables.columns import identifier, instant, metadata, serial

# Active findings at the end of each day (UTC), and how many were opened and closed on it.
# `machines` is RUNNING, or OTHER for instances that are stopped or gone. `exploited` is NULL where
# it is not known: in days that were counted afterwards.
finding_days = Table(
    "finding_days",
    metadata,
    Column("day", String(10), primary_key=True),  # 2026-01-31
    identifier("account", primary_key=True),
    identifier("region", primary_key=True),
    Column("severity", String(16), primary_key=True),
    Column("machines", String(8), primary_key=True),
    Column("active", BigInteger, nullable=False),
    Column("exploited", BigInteger, nullable=True),
    Column("opened", BigInteger, nullable=False),
    Column("closed", BigInteger, nullable=False),
    instant("counted_at", nullable=True),  # NULL: only changes of this day are counted yet
    Index("ix_finding_days_account", "account", "day"),
)

# Other counts by account-region: a measure's items and their values.
fleet_measures = Table(
    "fleet_measures",
    metadata,
    Column("measure", String(32), primary_key=True),
    identifier("account", primary_key=True),
    identifier("region", primary_key=True),
    Column("item", String(160), primary_key=True),
    Column("value", Float, nullable=False),
    instant("counted_at"),
)

# The upgrades that close most findings, for the whole fleet and for each account.
remediation_actions = Table(
    "remediation_actions",
    metadata,
    identifier("account", primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("document", Text, nullable=False),  # sidelight.remediation.UpgradeAction
    instant("counted_at"),
)

# The packages of all package sets, to search by name. `folded` is the name in lower case.
installed_names = Table(
    "installed_names",
    metadata,
    serial("id"),
    Column("type", String(32), nullable=False),  # a purl type
    Column("digest", String(64), nullable=False, unique=True),  # of type and name
    Column("name", AnyText, nullable=False),
    Column("folded", OrderedText, nullable=False),
    Index("ix_installed_names_folded", "folded", "id"),
    sqlite_autoincrement=True,
)

installed_versions = Table(
    "installed_versions",
    metadata,
    serial("id"),
    Column("name", BigInteger, nullable=False),
    Column("digest", String(64), nullable=False, unique=True),  # of the name's digest and version
    Column("version", AnyText, nullable=False),
    Index("ix_installed_versions_name", "name"),
    sqlite_autoincrement=True,
)

set_versions = Table(
    "set_versions",
    metadata,
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("content", BigInteger, primary_key=True, autoincrement=False),
    Index("ix_set_versions_content", "content"),
)
