"""The store's own properties and counters; instances, their coverage, accounts' configurations."""

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
    text,
)

from sidelight.store.base.column_types import AnyText
from sidelight.store.base.tables.columns import identifier, instant, metadata, serial

# Properties of the store itself: `deployment`, the id in our snapshots' tag.
properties = Table(
    "properties",
    metadata,
    identifier("name", primary_key=True),
    Column("value", Text, nullable=False),
)

instances = Table(
    "instances",
    metadata,
    identifier("account", primary_key=True),
    identifier("instance", primary_key=True),
    identifier("region"),
    identifier("state"),
    Column("document", Text, nullable=False),  # model.Instance
    instant("seen_at"),
    instant("gone_at", nullable=True),
)

# Counters that are read and incremented within transactions: `events`, `rules`, `judged`,
# `advisories`, `passed`, `packages`; and the position of each reader of the events.
sequences = Table(
    "sequences",
    metadata,
    identifier("name", primary_key=True),
    Column("value", BigInteger, nullable=False),
)

coverage = Table(
    "coverage",
    metadata,
    identifier("account", primary_key=True),
    identifier("instance", primary_key=True),
    identifier("region"),
    Column("name", AnyText, nullable=False),
    Column("scan_mode", String(32), nullable=False),
    Column("status_code", String(16), nullable=False),
    Column("reason", String(64), nullable=False),
    Column("detail", AnyText, nullable=False),
    instant("updated_at"),
    instant("scanned_at", nullable=True),
    Column("scan_type", String(16), primary_key=True, server_default="PACKAGE"),
    # The time of the disks' content, where the last scan created no snapshots; else NULL.
    instant("data_at", nullable=True),
    Column("data_source", String(16), nullable=False, server_default=""),
    # The entries of whole accounts and Regions, few among those of machines.
    Index(
        "ix_coverage_targets", "account", "instance",
        sqlite_where=text("instance LIKE '%*'"), postgresql_where=text("instance LIKE '%*'"),
    ),
)  # fmt: skip

# The last read of each instance's disks (model.DiskReading).
disk_readings = Table(
    "disk_readings",
    metadata,
    identifier("account", primary_key=True),
    identifier("instance", primary_key=True),
    Column("volumes", Text, nullable=False),  # their ids, separated by blanks
    instant("read_at"),
    instant("data_at"),
    Column("reader", String(64), nullable=False),
)

# Each change of an instance's status code, reason or scan mode.
coverage_changes = Table(
    "coverage_changes",
    metadata,
    serial("id"),
    identifier("account"),
    identifier("instance"),
    identifier("region"),
    Column("scan_type", String(16), nullable=False),
    instant("at"),
    Column("status_code", String(16), nullable=False),
    Column("reason", String(64), nullable=False),
    Column("scan_mode", String(32), nullable=False),
    Column("detail", AnyText, nullable=False),
    Index(None, "account", "instance"),
    Index(None, "at"),
    sqlite_autoincrement=True,
)

# What was set for an account; NULL is not set. An account without a row was never configured.
account_configurations = Table(
    "account_configurations",
    metadata,
    identifier("account", primary_key=True),
    identifier("organization"),
    Column("status", String(16), nullable=False),
    Column("mode", String(32), nullable=True),
    Column("deep_inspection", Boolean, nullable=True),
    Column("exclusion_tag", AnyText, nullable=True),
    Column("package_paths", Text, nullable=False),  # a JSON list
    instant("disabled_at", nullable=True),
    instant("updated_at"),
    Column("vm_scanner", Boolean, nullable=True),
    Column("ami_scanning", Text, nullable=True),  # JSON
    identifier("left_organization", server_default=""),
    Column("ecr_scanning", Text, nullable=True),  # JSON
)

organization_configurations = Table(
    "organization_configurations",
    metadata,
    identifier("id", primary_key=True),
    identifier("administrator"),
    Column("auto_enable", Boolean, nullable=False),
    Column("package_paths", Text, nullable=False),  # a JSON list
    instant("updated_at"),
)

# When the network of an account-region is evaluated, and its describe answers of the last time.
network_evaluations = Table(
    "network_evaluations",
    metadata,
    identifier("account", primary_key=True),
    identifier("region", primary_key=True),
    instant("due_at"),
    instant("publish_at"),  # the time at which the dispatcher may publish it again
    Column("requests", BigInteger, nullable=False),  # how often an evaluation was asked for
    Column("lease", String(64), nullable=False),
    instant("lease_until", nullable=True),
    Column("attempts", Integer, nullable=False),  # since the last evaluation
    instant("evaluated_at", nullable=True),
    Column("detail", AnyText, nullable=False),  # what could not be read, empty for nothing
    Column("answers", LargeBinary, nullable=True),  # compressed; of one that a peer may need
    instant("whole_at", nullable=True),  # when the whole network is due; before it, what changed
    Column("changed", Text, nullable=False, server_default="[]"),  # a JSON list of ids
    Index("ix_network_evaluations_due", "due_at"),
)

# What Sidelight creates in accounts besides snapshots, recorded before it is created.
created_resources = Table(
    "created_resources",
    metadata,
    identifier("account", primary_key=True),
    identifier("region", primary_key=True),
    Column("kind", String(32), primary_key=True),
    Column("name", String(512), primary_key=True),
    instant("recorded_at"),
)
