"""Scans, their snapshots, stages, events and costs; the limits and sweeps of account-regions."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Float, Index, Integer, String, Table, Text, text

from sidelight.store.base.column_types import AnyText
from sidelight.store.base.tables.columns import identifier, instant, metadata

scans = Table(
    "scans",
    metadata,
    identifier("id", primary_key=True),
    identifier("deployment"),
    identifier("account"),
    identifier("region"),
    identifier("instance"),
    Column("state", String(20), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("lease", String(64), nullable=False),
    instant("lease_until", nullable=True),
    instant("next_at"),
    instant("publish_at"),  # the time at which the dispatcher may publish it again
    Column("publications", Integer, nullable=False),
    Column("failure", AnyText, nullable=False),
    Column("failure_code", String(64), nullable=False),
    Column("last_error", AnyText, nullable=False),
    # The volumes of the requested snapshots, separated by blanks; empty: not requested yet; NULL:
    # unknown, for a scan from before this was stored.
    Column("volumes", Text, nullable=True),
    instant("created_at"),
    instant("entered_at"),
    instant("finished_at", nullable=True),
    # The time of AWS's first answer in this state that it does not list a resource yet.
    instant("late_since", nullable=True),
    # model.SourceKind; empty: the scan creates its own snapshots.
    Column("source", String(16), nullable=False, server_default=""),
    Index("ix_scans_publish", "state", "publish_at"),
    Index("ix_scans_history", "account", "instance", "created_at"),
    Index("ix_scans_ended", "account", "finished_at"),
    Index("ix_scans_created", "created_at"),
    Index("ix_scans_finished", "state", "finished_at"),
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
    identifier("id", primary_key=True),
    identifier("scan"),
    identifier("volume"),
    Column("position", Integer, nullable=False),
    Column("state", String(20), nullable=False),
    instant("created_at"),
    instant("deleted_at", nullable=True),
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

# The sources of scans that create no snapshots. The owner's snapshots are here, and never in
# `snapshots`, whose rows are what Sidelight deletes.
scan_sources = Table(
    "scan_sources",
    metadata,
    identifier("scan", primary_key=True),
    Column("kind", String(16), nullable=False),
    instant("data_at"),
    Column("snapshots", Text, nullable=False),  # a JSON list of model.ExistingSnapshot
)

# The volumes that a scan may have snapshots of, from before their creation to the scan's end. The
# caps on snapshots count them. A killed worker's rows belong to its scan, and end with it.
intents = Table(
    "intents",
    metadata,
    identifier("scan", primary_key=True),
    identifier("volume", primary_key=True),
    Index(None, "volume"),
)

# The time of the next snapshot poll of an account-region: its message is already queued, so that no
# scan needs another one.
looks = Table(
    "looks",
    metadata,
    identifier("account", primary_key=True),
    identifier("region", primary_key=True),
    instant("due_at"),
)

# AWS's limits of an account-region, as last read, and its last refusal.
snapshot_limits = Table(
    "snapshot_limits",
    metadata,
    identifier("account", primary_key=True),
    identifier("region", primary_key=True),
    Column("pending_quota", Float, nullable=True),
    Column("get_quota", Float, nullable=True),
    Column("list_quota", Float, nullable=True),
    instant("quotas_at", nullable=True),
    Column("others", Integer, nullable=True),
    instant("others_at", nullable=True),
    instant("refused_until", nullable=True),
    Column("refused_wait", Float, nullable=False),
)

# The durations of scans' stages, in seconds: one row per scan and stage, the sum of its runs.
stage_times = Table(
    "stage_times",
    metadata,
    identifier("scan", primary_key=True),
    Column("stage", String(20), primary_key=True),
    Column("runs", Integer, nullable=False),
    Column("took", Float, nullable=False),
    Column("waited", Float, nullable=False),
    Column("ran", Float, nullable=False),
    Column("paced", Float, nullable=False),
    instant("ended_at"),
    Index(None, "ended_at"),
)

sweeps = Table(
    "sweeps",
    metadata,
    identifier("account", primary_key=True),
    identifier("region", primary_key=True),
    instant("swept_at"),
    Column("orphans", BigInteger, nullable=False),
    Column("remaining", BigInteger, nullable=False),
    Column("foreign_snapshots", BigInteger, nullable=False, server_default="0"),
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
    identifier("scan", primary_key=True),
    *_cost_columns(),
)

# The costs of deleted scans, by the day (UTC) of their creation.
cost_days = Table(
    "cost_days",
    metadata,
    identifier("day", primary_key=True),  # 2026-01-31
    identifier("account", primary_key=True),
    identifier("region", primary_key=True),
    Column("scans", BigInteger, nullable=False),
    *_cost_columns(),
)

events = Table(
    "events",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    identifier("scan"),
    instant("at"),
    Column("what", String(64), nullable=False),
    Column("detail", AnyText, nullable=False),
    Index(None, "scan"),
)
