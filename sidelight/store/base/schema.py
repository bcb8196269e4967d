"""The tables, as the code uses them. `migrations/` creates them; a test compares the two."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from sidelight.store.base.column_types import AnyText, Instant

if TYPE_CHECKING:
    from datetime import datetime

# Every constraint has a name, so that a later migration can refer to it.
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _id(name: str, **options: Any) -> Column[str]:
    return Column(name, String(64), nullable=False, **options)


def _number(name: str) -> Column[int]:
    return Column(name, BigInteger().with_variant(Integer, "sqlite"), primary_key=True)


def _when(name: str, *, nullable: bool = False) -> Column[datetime]:
    return Column(name, Instant, nullable=nullable)


# Properties of the store itself: `deployment`, the id in our snapshots' tag.
properties = Table(
    "properties",
    metadata,
    _id("name", primary_key=True),
    Column("value", Text, nullable=False),
)

instances = Table(
    "instances",
    metadata,
    _id("account", primary_key=True),
    _id("instance", primary_key=True),
    _id("region"),
    _id("state"),
    Column("document", Text, nullable=False),  # model.Instance
    _when("seen_at"),
    _when("gone_at", nullable=True),
)

scans = Table(
    "scans",
    metadata,
    _id("id", primary_key=True),
    _id("deployment"),
    _id("account"),
    _id("region"),
    _id("instance"),
    Column("state", String(20), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("lease", String(64), nullable=False),
    _when("lease_until", nullable=True),
    _when("next_at"),
    _when("publish_at"),  # the time at which the dispatcher may publish it again
    Column("publications", Integer, nullable=False),
    Column("failure", AnyText, nullable=False),
    Column("failure_code", String(64), nullable=False),
    Column("last_error", AnyText, nullable=False),
    # The volumes of the requested snapshots, separated by blanks; empty: not requested yet; NULL:
    # unknown, for a scan from before this was stored.
    Column("volumes", Text, nullable=True),
    _when("created_at"),
    _when("entered_at"),
    _when("finished_at", nullable=True),
    # The time of AWS's first answer in this state that it does not list a resource yet.
    _when("late_since", nullable=True),
    Index("ix_scans_publish", "state", "publish_at"),
    Index("ix_scans_history", "account", "instance", "created_at"),
    Index("ix_scans_ended", "account", "finished_at"),
)
# Two dispatchers that plan the same instance at the same time create one scan.
LIVE_SCAN = text("state NOT IN ('DONE', 'FAILED')")
Index(
    "uq_scans_live",
    scans.c.account,
    scans.c.instance,
    unique=True,
    sqlite_where=LIVE_SCAN,
    postgresql_where=LIVE_SCAN,
)

snapshots = Table(
    "snapshots",
    metadata,
    _id("id", primary_key=True),
    _id("scan"),
    _id("volume"),
    Column("position", Integer, nullable=False),
    Column("state", String(20), nullable=False),
    _when("created_at"),
    _when("deleted_at", nullable=True),
    Column("receipt", Text, nullable=False),
    Index(None, "scan"),
)
# The few snapshots that are not known to be deleted.
Index(
    "ix_snapshots_undeleted",
    snapshots.c.scan,
    sqlite_where=text("deleted_at IS NULL"),
    postgresql_where=text("deleted_at IS NULL"),
)

# The volumes that a scan may have snapshots of, from before their creation to the scan's end. The
# caps on snapshots count them. A killed worker's rows belong to its scan, and end with it.
intents = Table(
    "intents",
    metadata,
    _id("scan", primary_key=True),
    _id("volume", primary_key=True),
    Index(None, "volume"),
)

# The time of the next snapshot poll of an account-region: its message is already queued, so that no
# scan needs another one.
looks = Table(
    "looks",
    metadata,
    _id("account", primary_key=True),
    _id("region", primary_key=True),
    _when("due_at"),
)

# AWS's limits of an account-region, as last read, and its last refusal.
snapshot_limits = Table(
    "snapshot_limits",
    metadata,
    _id("account", primary_key=True),
    _id("region", primary_key=True),
    Column("pending_quota", Float, nullable=True),
    Column("get_quota", Float, nullable=True),
    Column("list_quota", Float, nullable=True),
    _when("quotas_at", nullable=True),
    Column("others", Integer, nullable=True),
    _when("others_at", nullable=True),
    _when("refused_until", nullable=True),
    Column("refused_wait", Float, nullable=False),
)

# The durations of scans' stages, in seconds: one row per scan and stage, the sum of its runs.
stage_times = Table(
    "stage_times",
    metadata,
    _id("scan", primary_key=True),
    Column("stage", String(20), primary_key=True),
    Column("runs", Integer, nullable=False),
    Column("took", Float, nullable=False),
    Column("waited", Float, nullable=False),
    Column("ran", Float, nullable=False),
    Column("paced", Float, nullable=False),
    _when("ended_at"),
    Index(None, "ended_at"),
)

sweeps = Table(
    "sweeps",
    metadata,
    _id("account", primary_key=True),
    _id("region", primary_key=True),
    _when("swept_at"),
    Column("orphans", BigInteger, nullable=False),
    Column("remaining", BigInteger, nullable=False),
    Column("foreign_snapshots", BigInteger, nullable=False, server_default="0"),
)

inventories = Table(
    "inventories",
    metadata,
    _id("account", primary_key=True),
    _id("instance", primary_key=True),
    _id("region"),
    _id("scan"),
    Column("status", String(20), nullable=False),
    Column("packages", Integer, nullable=False),
    _when("taken_at"),
    _when("evaluated_at", nullable=True),
    _when("retired_at", nullable=True),  # its instance is gone, or is no longer scanned
    Column("content", BigInteger, nullable=False),  # package_sets.id
    # The number of the advisory database of its findings; 0 for an unregistered one.
    Column("advisories", Integer, nullable=False),
    Column("document", LargeBinary, nullable=False),  # model.Inventory without packages, compressed
    Index(None, "content"),
    Index("ix_inventories_pending", "advisories", "content"),
)

# Machines of one image have the same packages: they are stored once, by their digest.
package_sets = Table(
    "package_sets",
    metadata,
    _number("id"),
    _id("digest", unique=True),
    _when("used_at"),
    Column(
        "document", LargeBinary, nullable=False
    ),  # the packages of a model.Inventory, compressed
    sqlite_autoincrement=True,
)

# One package as it is matched with advisories, once for all machines.
# What is known of the inventories that agents sent, so that unchanged ones are not parsed again.
agent_inventories = Table(
    "agent_inventories",
    metadata,
    _id("account", primary_key=True),
    _id("instance", primary_key=True),
    _id("region"),
    Column("version", AnyText, nullable=False),  # of the data sync's objects
    _id("digest"),  # of the content
    _when("captured_at", nullable=True),
    _when("seen_at"),
    Index(None, "account", "region"),
)
software = Table(
    "software",
    metadata,
    _number("id"),
    _id("identity", unique=True),
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
    _number("id"),
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
    _number("number"),
    _id("sha256"),
    _when("registered_at"),
    _id("newest"),  # the latest change of its advisories, ISO 8601; empty: unknown
    sqlite_autoincrement=True,
)

# Vulnerability details, the same on all machines with a package: EPSS changes only one row.
finding_details = Table(
    "finding_details",
    metadata,
    _number("id"),
    Column("software", BigInteger, nullable=False),
    Column("vulnerability", AnyText, nullable=False),
    # SHA-256 of vulnerability, purl and path: a path may be too long for an index.
    _id("key"),
    Column("severity", String(16), nullable=False),
    Column("score", Float, nullable=True),
    Column("current", Boolean, nullable=False),  # the current database contains it
    # The number of the database that last changed `current`.
    Column("touched", Integer, nullable=False),
    _id("facts"),  # the digest of the vulnerability's facts in the database of the match
    _id("digest"),  # of the document
    Column("document", Text, nullable=False),  # model.Finding
    UniqueConstraint("software", "vulnerability"),
    sqlite_autoincrement=True,
)

findings = Table(
    "findings",
    metadata,
    _number("id"),
    _id("account"),
    _id("region"),
    _id("instance"),
    _id("key"),
    Column("detail", BigInteger, nullable=False),
    Column("status", String(16), nullable=False),
    _when("first_observed"),
    _when("last_observed"),
    _when("updated_at"),
    _when("closed_at", nullable=True),
    _when("expires_at", nullable=True),
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
    _when("at"),
    Column("kind", String(16), nullable=False),
    Column("finding", BigInteger, nullable=False),
    _id("account"),
    _id("region"),
    _id("instance"),
    Column("detail", BigInteger, nullable=False),
    Column("status", String(16), nullable=False),
    _when("first_observed"),
    _when("last_observed"),
    Index(None, "at"),
    Index(None, "detail"),
)

suppression_rules = Table(
    "suppression_rules",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("description", AnyText, nullable=False),
    Column("criteria", Text, nullable=False),  # Inspector's FilterCriteria
    _when("created_at"),
    _when("updated_at"),
)

# Counters that are read and incremented within transactions: `events`, `rules`, `judged`,
# `advisories`, `passed`, `packages`; and the position of each reader of the events.
sequences = Table(
    "sequences",
    metadata,
    _id("name", primary_key=True),
    Column("value", BigInteger, nullable=False),
)

coverage = Table(
    "coverage",
    metadata,
    _id("account", primary_key=True),
    _id("instance", primary_key=True),
    _id("region"),
    Column("name", AnyText, nullable=False),
    Column("scan_mode", String(32), nullable=False),
    Column("status_code", String(16), nullable=False),
    Column("reason", String(64), nullable=False),
    Column("detail", AnyText, nullable=False),
    _when("updated_at"),
    _when("scanned_at", nullable=True),
    Column("scan_type", String(16), primary_key=True, server_default="PACKAGE"),
)

# Each change of an instance's status code, reason or scan mode.
coverage_changes = Table(
    "coverage_changes",
    metadata,
    _number("id"),
    _id("account"),
    _id("instance"),
    _id("region"),
    Column("scan_type", String(16), nullable=False),
    _when("at"),
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
    _id("account", primary_key=True),
    _id("organization"),
    Column("status", String(16), nullable=False),
    Column("mode", String(32), nullable=True),
    Column("deep_inspection", Boolean, nullable=True),
    Column("exclusion_tag", AnyText, nullable=True),
    Column("package_paths", Text, nullable=False),  # a JSON list
    _when("disabled_at", nullable=True),
    _when("updated_at"),
)

organization_configurations = Table(
    "organization_configurations",
    metadata,
    _id("id", primary_key=True),
    _id("administrator"),
    Column("auto_enable", Boolean, nullable=False),
    Column("package_paths", Text, nullable=False),  # a JSON list
    _when("updated_at"),
)


def _cost_columns() -> list[Column[Any]]:
    return [
        Column("get_calls", BigInteger, nullable=False),
        Column("list_calls", BigInteger, nullable=False),
        Column("blocks", BigInteger, nullable=False),
        Column("bytes", BigInteger, nullable=False),
        Column("seconds", Float, nullable=False),
        Column("cpu_seconds", Float, nullable=False),
        Column("usd", Float, nullable=False),
    ]


costs = Table(
    "costs",
    metadata,
    _id("scan", primary_key=True),
    *_cost_columns(),
)

# The costs of deleted scans, by the day (UTC) of their creation.
cost_days = Table(
    "cost_days",
    metadata,
    _id("day", primary_key=True),  # 2026-01-31
    _id("account", primary_key=True),
    _id("region", primary_key=True),
    Column("scans", BigInteger, nullable=False),
    *_cost_columns(),
)

events = Table(
    "events",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    _id("scan"),
    _when("at"),
    Column("what", String(64), nullable=False),
    Column("detail", AnyText, nullable=False),
    Index(None, "scan"),
)
