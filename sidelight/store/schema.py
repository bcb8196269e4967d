"""The tables, as the code uses them. `migrations/` makes them; a test compares the two."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)

if TYPE_CHECKING:
    from sqlalchemy import Dialect

# Every constraint has a name, so that a later migration can speak of it.
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Instant(TypeDecorator[datetime]):
    """A moment in UTC: with its zone in PostgreSQL, without in SQLite, aware in Python."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """SQLite stores no zone."""
        if value is None:
            return None
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - the base class's signature
        """Aware in UTC, whatever the database's zone is."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class AnyText(TypeDecorator[str]):
    """Text of a scanned machine: may hold NUL or lone surrogates, which databases refuse.

    Those are stored as backslash escapes. What must come back exactly is in a JSON document.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - the base class's signature
        """Escaped."""
        if value is None:
            return None
        return value.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()


def _id(name: str, **options: Any) -> Column[str]:
    return Column(name, String(64), nullable=False, **options)


def _when(name: str, *, nullable: bool = False) -> Column[datetime]:
    return Column(name, Instant, nullable=nullable)


# What belongs to the store itself: `deployment`, the id in our snapshots' tag.
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
    _when("publish_at"),  # when the dispatcher may publish it again
    Column("publications", Integer, nullable=False),
    Column("failure", AnyText, nullable=False),
    Column("failure_code", String(64), nullable=False),
    Column("last_error", AnyText, nullable=False),
    _when("created_at"),
    _when("entered_at"),
    _when("finished_at", nullable=True),
    Index("ix_scans_publish", "state", "publish_at"),
    Index("ix_scans_history", "account", "instance", "created_at"),
)
# Two dispatchers that plan the same instance at the same time make one scan.
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

# The volumes that a scan may have snapshots of, from before they are made to the scan's end: what
# the caps on snapshots are counted by. A killed worker's are its scan's, and end with it.
intents = Table(
    "intents",
    metadata,
    _id("scan", primary_key=True),
    _id("volume", primary_key=True),
    Index(None, "volume"),
)

sweeps = Table(
    "sweeps",
    metadata,
    _id("account", primary_key=True),
    _id("region", primary_key=True),
    _when("swept_at"),
    Column("orphans", BigInteger, nullable=False),
    Column("remaining", BigInteger, nullable=False),
)

inventories = Table(
    "inventories",
    metadata,
    _id("account", primary_key=True),
    _id("instance", primary_key=True),
    _id("scan"),
    Column("status", String(20), nullable=False),
    Column("packages", Integer, nullable=False),
    _when("taken_at"),
    _when("evaluated_at", nullable=True),
    Column("document", LargeBinary, nullable=False),  # model.Inventory, compressed
)

findings = Table(
    "findings",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    _id("account"),
    _id("region"),
    _id("instance"),
    # SHA-256 of vulnerability, purl and path: a path may be longer than an index can hold.
    _id("key"),
    Column("vulnerability", AnyText, nullable=False),
    Column("severity", String(16), nullable=False),
    Column("package_type", AnyText, nullable=False),
    Column("package_name", AnyText, nullable=False),
    Column("purl", AnyText, nullable=False),
    Column("path", AnyText, nullable=False),
    Column("status", String(16), nullable=False),
    _when("first_observed"),
    _when("last_observed"),
    _when("closed_at", nullable=True),
    Column("document", Text, nullable=False),  # model.Finding
    UniqueConstraint("account", "instance", "key"),
    Index("ix_findings_status", "status", "severity"),
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
)

costs = Table(
    "costs",
    metadata,
    _id("scan", primary_key=True),
    Column("get_calls", BigInteger, nullable=False),
    Column("list_calls", BigInteger, nullable=False),
    Column("blocks", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("cpu_seconds", Float, nullable=False),
    Column("usd", Float, nullable=False),
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
