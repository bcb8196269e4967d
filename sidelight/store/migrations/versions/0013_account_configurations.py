"""Accounts' and organizations' configurations; coverage by scan type, with its changes."""

import sqlalchemy as sa
from alembic import op

from sidelight.store.base.column_types import AnyText, Instant

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward. All coverage so far is of packages."""
    scan_type = sa.Column("scan_type", sa.String(16), nullable=False, server_default="PACKAGE")
    op.add_column("coverage", scan_type)
    _key("account", "instance", "scan_type")
    op.create_table(
        "coverage_changes",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("account", sa.String(64), nullable=False),
        sa.Column("instance", sa.String(64), nullable=False),
        sa.Column("region", sa.String(64), nullable=False),
        sa.Column("scan_type", sa.String(16), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("status_code", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(64), nullable=False),
        sa.Column("scan_mode", sa.String(32), nullable=False),
        sa.Column("detail", AnyText(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_coverage_changes"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_coverage_changes_account_instance", "coverage_changes", ["account", "instance"]
    )
    op.create_index("ix_coverage_changes_at", "coverage_changes", ["at"])
    op.create_table(
        "account_configurations",
        sa.Column("account", sa.String(64), nullable=False),
        sa.Column("organization", sa.String(64), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("mode", sa.String(32), nullable=True),
        sa.Column("deep_inspection", sa.Boolean(), nullable=True),
        sa.Column("exclusion_tag", AnyText(), nullable=True),
        sa.Column("package_paths", sa.Text(), nullable=False),
        sa.Column("disabled_at", Instant(), nullable=True),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("account", name="pk_account_configurations"),
    )
    op.create_table(
        "organization_configurations",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("administrator", sa.String(64), nullable=False),
        sa.Column("auto_enable", sa.Boolean(), nullable=False),
        sa.Column("package_paths", sa.Text(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_organization_configurations"),
    )


def downgrade() -> None:
    """Back: entries of other scan types and all configurations are lost."""
    op.drop_table("organization_configurations")
    op.drop_table("account_configurations")
    op.drop_index("ix_coverage_changes_at", "coverage_changes")
    op.drop_index("ix_coverage_changes_account_instance", "coverage_changes")
    op.drop_table("coverage_changes")
    op.execute("DELETE FROM coverage WHERE scan_type <> 'PACKAGE'")
    _key("account", "instance")
    op.drop_column("coverage", "scan_type")


def _key(*columns: str) -> None:
    with op.batch_alter_table("coverage") as batch:
        batch.drop_constraint("pk_coverage", type_="primary")
        batch.create_primary_key("pk_coverage", list(columns))
