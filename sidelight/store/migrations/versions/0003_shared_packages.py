"""Packages shared by instances, what is said of them once for all, events and suppression rules.

Inventories and findings of before are dropped: the next scan, within a day, makes them again.
"""

import sqlalchemy as sa
from alembic import op

from sidelight.store.base.column_types import AnyText, Instant

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

COUNTERS = ("advisories", "events", "judged", "packages", "passed", "rules")


def upgrade() -> None:
    """Forward."""
    op.drop_table("findings")
    op.drop_table("inventories")
    op.create_table(
        "advisory_databases",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("registered_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_advisory_databases")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "finding_details",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("software", sa.BigInteger(), nullable=False),
        sa.Column("vulnerability", AnyText(), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("severity", sa.String(length=16), nullable=False),
        sa.Column("score", sa.Float(), nullable=True),
        sa.Column("current", sa.Boolean(), nullable=False),
        sa.Column("facts", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_finding_details")),
        sa.UniqueConstraint(
            "software", "vulnerability", name=op.f("uq_finding_details_software_vulnerability")
        ),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "finding_events",
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("finding", sa.BigInteger(), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("region", sa.String(length=64), nullable=False),
        sa.Column("instance", sa.String(length=64), nullable=False),
        sa.Column("detail", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("first_observed", Instant(), nullable=False),
        sa.Column("last_observed", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_finding_events")),
    )
    op.create_index(op.f("ix_finding_events_at"), "finding_events", ["at"], unique=False)
    op.create_index(op.f("ix_finding_events_detail"), "finding_events", ["detail"], unique=False)
    op.create_table(
        "findings",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("region", sa.String(length=64), nullable=False),
        sa.Column("instance", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("detail", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("first_observed", Instant(), nullable=False),
        sa.Column("last_observed", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("closed_at", Instant(), nullable=True),
        sa.Column("expires_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_findings")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_findings_detail"), "findings", ["detail"], unique=False)
    op.create_index(op.f("ix_findings_expires_at"), "findings", ["expires_at"], unique=False)
    op.create_index(
        "ix_findings_instance", "findings", ["account", "instance", "key"], unique=False
    )
    op.create_index("ix_findings_status", "findings", ["status"], unique=False)
    op.create_index(
        "uq_findings_open",
        "findings",
        ["account", "instance", "key"],
        unique=True,
        sqlite_where=sa.text("status <> 'CLOSED'"),
        postgresql_where=sa.text("status <> 'CLOSED'"),
    )
    op.create_table(
        "inventories",
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("instance", sa.String(length=64), nullable=False),
        sa.Column("region", sa.String(length=64), nullable=False),
        sa.Column("scan", sa.String(length=64), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("packages", sa.Integer(), nullable=False),
        sa.Column("taken_at", Instant(), nullable=False),
        sa.Column("evaluated_at", Instant(), nullable=True),
        sa.Column("retired_at", Instant(), nullable=True),
        sa.Column("content", sa.BigInteger(), nullable=False),
        sa.Column("advisories", sa.Integer(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("account", "instance", name=op.f("pk_inventories")),
    )
    op.create_index(op.f("ix_inventories_content"), "inventories", ["content"], unique=False)
    op.create_index(
        "ix_inventories_pending", "inventories", ["advisories", "content"], unique=False
    )
    op.create_table(
        "package_names",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("ecosystem", AnyText(), nullable=False),
        sa.Column("name", AnyText(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_package_names")),
        sa.UniqueConstraint("ecosystem", "name", name=op.f("uq_package_names_ecosystem_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "package_sets",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("used_at", Instant(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_package_sets")),
        sa.UniqueConstraint("digest", name=op.f("uq_package_sets_digest")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "sequences",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_sequences")),
    )
    op.create_table(
        "set_software",
        sa.Column("content", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("software", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("content", "software", name=op.f("pk_set_software")),
    )
    op.create_index(op.f("ix_set_software_software"), "set_software", ["software"], unique=False)
    op.create_table(
        "software",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("identity", sa.String(length=64), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("dated", sa.Boolean(), nullable=False),
        sa.Column("stale", sa.Boolean(), nullable=False),
        sa.Column("matched", sa.Integer(), nullable=False),
        sa.Column("touched", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_software")),
        sa.UniqueConstraint("identity", name=op.f("uq_software_identity")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_software_stale",
        "software",
        ["stale"],
        unique=False,
        sqlite_where=sa.text("stale"),
        postgresql_where=sa.text("stale"),
    )
    op.create_index(op.f("ix_software_touched"), "software", ["touched"], unique=False)
    op.create_table(
        "software_names",
        sa.Column("software", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("software", "name", name=op.f("pk_software_names")),
    )
    op.create_index(op.f("ix_software_names_name"), "software_names", ["name"], unique=False)
    op.create_table(
        "suppression_rules",
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("description", AnyText(), nullable=False),
        sa.Column("criteria", sa.Text(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_suppression_rules")),
    )
    op.bulk_insert(
        sa.table("sequences", sa.column("name"), sa.column("value")),
        [{"name": name, "value": 0} for name in COUNTERS],
    )


def downgrade() -> None:
    """Back is not possible: what was dropped does not come again."""
    raise NotImplementedError
