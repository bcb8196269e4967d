"""Inventories, package sets, software, and the advisory databases that it was matched with."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

from sidelight.store.base.column_types import AnyText
from sidelight.store.base.tables.columns import identifier, instant, metadata, serial

inventories = Table(
    "inventories",
    metadata,
    identifier("account", primary_key=True),
    identifier("instance", primary_key=True),
    identifier("region"),
    identifier("scan"),
    Column("status", String(20), nullable=False),
    Column("packages", Integer, nullable=False),
    instant("taken_at"),
    instant("evaluated_at", nullable=True),
    instant("observed_at", nullable=True),  # the last scan that was evaluated
    instant("retired_at", nullable=True),  # its instance is gone, or is no longer scanned
    Column("content", BigInteger, nullable=False),  # package_sets.id
    # The number of the advisory database of its findings; 0 for an unregistered one.
    Column("advisories", Integer, nullable=False),
    Column("document", LargeBinary, nullable=False),  # model.Inventory without packages, compressed
    Index(None, "content"),
    Index("ix_inventories_pending", "advisories", "content"),
    Index("ix_inventories_observed", "observed_at", "account", "instance"),
)

# Machines of one image have the same packages: they are stored once, by their digest.
package_sets = Table(
    "package_sets",
    metadata,
    serial("id"),
    identifier("digest", unique=True),
    instant("used_at"),
    Column(
        "document", LargeBinary, nullable=False
    ),  # the packages of a model.Inventory, compressed
    # Whether set_versions has its packages.
    Column("indexed", Boolean, nullable=False, server_default=false()),
    Index(
        "ix_package_sets_unindexed",
        "id",
        sqlite_where=text("NOT indexed"),
        postgresql_where=text("NOT indexed"),
    ),
    sqlite_autoincrement=True,
)

# What is known of the inventories that agents sent, so that unchanged ones are not parsed again.
agent_inventories = Table(
    "agent_inventories",
    metadata,
    identifier("account", primary_key=True),
    identifier("instance", primary_key=True),
    identifier("region"),
    Column("version", AnyText, nullable=False),  # of the data sync's objects
    identifier("digest"),  # of the content
    instant("captured_at", nullable=True),
    instant("seen_at"),
    Index(None, "account", "region"),
)

# One package as it is matched with advisories, once for all machines.
software = Table(
    "software",
    metadata,
    serial("id"),
    identifier("identity", unique=True),
    Column("document", Text, nullable=False),  # store.software.Software
    Column("dated", Boolean, nullable=False),  # an operating system: the result depends on the date
    Column("stale", Boolean, nullable=False),  # must be matched with the current database
    Column("matched", Integer, nullable=False),  # the number of the database it was matched with
    # The number of the database that last changed its list of vulnerabilities.
    Column("touched", Integer, nullable=False),
    Index("ix_software_stale", "stale", sqlite_where=text("stale"), postgresql_where=text("stale")),
    Index(None, "touched"),
    sqlite_autoincrement=True,
)

set_software = Table(
    "set_software",
    metadata,
    Column("content", BigInteger, primary_key=True, autoincrement=False),
    Column("software", BigInteger, primary_key=True, autoincrement=False),
    Index(None, "software"),
)

# The names of packages in advisories, with the digest of the current database's rows for each.
package_names = Table(
    "package_names",
    metadata,
    serial("id"),
    Column("ecosystem", AnyText, nullable=False),
    Column("name", AnyText, nullable=False),
    Column("digest", String(64), nullable=True),
    UniqueConstraint("ecosystem", "name"),
    sqlite_autoincrement=True,
)

software_names = Table(
    "software_names",
    metadata,
    Column("software", BigInteger, primary_key=True, autoincrement=False),
    Column("name", BigInteger, primary_key=True, autoincrement=False),
    Index(None, "name"),
)

advisory_databases = Table(
    "advisory_databases",
    metadata,
    serial("number"),
    identifier("sha256"),
    instant("registered_at"),
    identifier("newest"),  # the latest change of its advisories, ISO 8601; empty: unknown
    sqlite_autoincrement=True,
)
