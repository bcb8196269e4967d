"""The first tables."""

import sqlalchemy as sa
from alembic import op

from sidelight.store.base.column_types import AnyText, Instant

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "costs",
        sa.Column("scan", sa.String(length=64), nullable=False),
        sa.Column("get_calls", sa.BigInteger(), nullable=False),
        sa.Column("list_calls", sa.BigInteger(), nullable=False),
        sa.Column("blocks", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("cpu_seconds", sa.Float(), nullable=False),
        sa.Column("usd", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("scan", name=op.f("pk_costs")),
    )
    op.create_table(
        "coverage",
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("instance", sa.String(length=64), nullable=False),
        sa.Column("region", sa.String(length=64), nullable=False),
        sa.Column("name", AnyText(), nullable=False),
        sa.Column("scan_mode", sa.String(length=32), nullable=False),
        sa.Column("status_code", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("detail", AnyText(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("scanned_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("account", "instance", name=op.f("pk_coverage")),
    )
    op.create_table(
        "events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("scan", sa.String(length=64), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("what", sa.String(length=64), nullable=False),
        sa.Column("detail", AnyText(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
    )
    op.create_index(op.f("ix_events_scan"), "events", ["scan"], unique=False)
    op.create_table(
        "findings",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("region", sa.String(length=64), nullable=False),
        sa.Column("instance", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("vulnerability", AnyText(), nullable=False),
        sa.Column("severity", sa.String(length=16), nullable=False),
        sa.Column("package_type", AnyText(), nullable=False),
        sa.Column("package_name", AnyText(), nullable=False),
        sa.Column("purl", AnyText(), nullable=False),
        sa.Column("path", AnyText(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("first_observed", Instant(), nullable=False),
        sa.Column("last_observed", Instant(), nullable=False),
        sa.Column("closed_at", Instant(), nullable=True),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_findings")),
        sa.UniqueConstraint(
            "account", "instance", "key", name=op.f("uq_findings_account_instance_key")
        ),
    )
    op.create_index("ix_findings_status", "findings", ["status", "severity"], unique=False)
    op.create_table(
        "instances",
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("instance", sa.String(length=64), nullable=False),
        sa.Column("region", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=64), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("seen_at", Instant(), nullable=False),
        sa.Column("gone_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("account", "instance", name=op.f("pk_instances")),
    )
    op.create_table(
        "inventories",
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("instance", sa.String(length=64), nullable=False),
        sa.Column("scan", sa.String(length=64), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("packages", sa.Integer(), nullable=False),
        sa.Column("taken_at", Instant(), nullable=False),
        sa.Column("evaluated_at", Instant(), nullable=True),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("account", "instance", name=op.f("pk_inventories")),
    )
    op.create_table(
        "properties",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_properties")),
    )
    op.create_table(
        "scans",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("deployment", sa.String(length=64), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("region", sa.String(length=64), nullable=False),
        sa.Column("instance", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("lease", sa.String(length=64), nullable=False),
        sa.Column("lease_until", Instant(), nullable=True),
        sa.Column("next_at", Instant(), nullable=False),
        sa.Column("publish_at", Instant(), nullable=False),
        sa.Column("publications", sa.Integer(), nullable=False),
        sa.Column("failure", AnyText(), nullable=False),
        sa.Column("failure_code", sa.String(length=64), nullable=False),
        sa.Column("last_error", AnyText(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("entered_at", Instant(), nullable=False),
        sa.Column("finished_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scans")),
    )
    op.create_index(
        "ix_scans_history", "scans", ["account", "instance", "created_at"], unique=False
    )
    op.create_index("ix_scans_publish", "scans", ["state", "publish_at"], unique=False)
    op.create_index(
        "uq_scans_live",
        "scans",
        ["account", "instance"],
        unique=True,
        sqlite_where=sa.text("state NOT IN ('DONE', 'FAILED')"),
        postgresql_where=sa.text("state NOT IN ('DONE', 'FAILED')"),
    )
    op.create_table(
        "snapshots",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("scan", sa.String(length=64), nullable=False),
        sa.Column("volume", sa.String(length=64), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("deleted_at", Instant(), nullable=True),
        sa.Column("receipt", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_snapshots")),
    )
    op.create_index(op.f("ix_snapshots_scan"), "snapshots", ["scan"], unique=False)


def downgrade() -> None:
    """Back."""
    op.drop_index(op.f("ix_snapshots_scan"), table_name="snapshots")
    op.drop_table("snapshots")
    op.drop_index(
        "uq_scans_live",
        table_name="scans",
        sqlite_where=sa.text("state NOT IN ('DONE', 'FAILED')"),
        postgresql_where=sa.text("state NOT IN ('DONE', 'FAILED')"),
    )
    op.drop_index("ix_scans_publish", table_name="scans")
    op.drop_index("ix_scans_history", table_name="scans")
    op.drop_table("scans")
    op.drop_table("properties")
    op.drop_table("inventories")
    op.drop_table("instances")
    op.drop_index("ix_findings_status", table_name="findings")
    op.drop_table("findings")
    op.drop_index(op.f("ix_events_scan"), table_name="events")
    op.drop_table("events")
    op.drop_table("coverage")
    op.drop_table("costs")
