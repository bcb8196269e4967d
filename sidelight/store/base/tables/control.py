"""The tables that clients of the API change: filters, tags, keys, reports, tokens."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, String, Table, Text, UniqueConstraint, text

from sidelight.store.base.column_types import AnyText
from sidelight.store.base.tables.columns import identifier, instant, metadata

# Filters of findings; those with the action SUPPRESS are suppression rules. `owner` is the account
# whose findings, and whose members' findings, a rule is about; empty for the whole fleet.
finding_filters = Table(
    "finding_filters",
    metadata,
    identifier("id", primary_key=True),
    identifier("owner"),
    identifier("region"),
    Column("name", String(128), nullable=False),
    Column("action", String(16), nullable=False),
    Column("description", AnyText, nullable=False),
    Column("reason", AnyText, nullable=False),
    Column("criteria", Text, nullable=False),  # Inspector's FilterCriteria
    instant("created_at"),
    instant("updated_at"),
    instant("expires_at", nullable=True),
    UniqueConstraint("owner", "name"),
)

resource_tags = Table(
    "resource_tags",
    metadata,
    Column("arn", String(1011), primary_key=True),
    Column("key", String(128), primary_key=True),
    Column("value", AnyText, nullable=False),
)

encryption_keys = Table(
    "encryption_keys",
    metadata,
    identifier("account", primary_key=True),
    identifier("region", primary_key=True),
    Column("scan_type", String(16), primary_key=True),
    Column("resource_type", String(64), primary_key=True),
    Column("kms_key", String(2048), nullable=False),
)

# The answers of requests with an idempotency token, for a day.
request_tokens = Table(
    "request_tokens",
    metadata,
    identifier("account", primary_key=True),
    Column("operation", String(64), primary_key=True),
    Column("token", String(64), primary_key=True),
    identifier("digest"),  # of the request
    Column("answer", Text, nullable=False),  # JSON
    instant("at"),
    Index(None, "at"),
)

# Reports of findings and exports of SBOMs to S3.
report_jobs = Table(
    "report_jobs",
    metadata,
    identifier("id", primary_key=True),
    Column("kind", String(16), nullable=False),
    identifier("account"),
    identifier("region"),
    Column("accounts", Text, nullable=False),  # JSON: whose data it has; null for all
    Column("format", String(32), nullable=False),
    Column("criteria", Text, nullable=False),  # JSON
    Column("destination", Text, nullable=False),  # JSON
    Column("status", String(16), nullable=False),
    Column("error_code", String(64), nullable=False),
    Column("error_message", AnyText, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("lease", String(64), nullable=False),
    instant("lease_until", nullable=True),
    instant("created_at"),
    instant("ended_at", nullable=True),
    Index(None, "status", "created_at"),
)
# One report of each kind at a time an account.
RUNNING_JOB = text("status = 'IN_PROGRESS'")
Index(
    "uq_report_jobs_running",
    report_jobs.c.account,
    report_jobs.c.kind,
    unique=True,
    sqlite_where=RUNNING_JOB,
    postgresql_where=RUNNING_JOB,
)
